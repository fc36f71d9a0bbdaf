import { Command, Option } from 'commander'
import { runFlexpoint } from './flexpoint/command.ts'
import { runAlexNet, runGan, runGpt, runResNet } from './formats/command.ts'
import { formatNames } from './formats/policy.ts'
import { runMnist } from './mnist/command.ts'
import { positive, wholeNumber, wholeNumberFrom0 } from './option-types.ts'
import { addSparseCommands } from './sparse/program.ts'

/** The command line of `tessera-examples`. */
export function makeProgram(): Command {
  const program = new Command('tessera-examples').description('Worked examples of Tessera.')
  program
    .command('mnist')
    .description('Trains a small convolutional net on handwritten digits; about a minute on one core.')
    .option('--epochs <count>', 'passes over the training images', wholeNumber, 1)
    .option('--examples <count>', 'training images of each pass (default: all 60,000)', wholeNumber)
    .option('--batch <images>', 'images in a step', wholeNumber, 64)
    .option('--learning-rate <rate>', 'highest learning rate, of one cycle', positive, 3e-3)
    .option('--seed <integer>', 'for weights, order and dropout', wholeNumberFrom0, 1)
    .option('--threads <count>', 'threads of the wasm backend (default: its own choice)', wholeNumber)
    .option('--picture <file>', 'PNG of test images with what the net takes them for', 'mnist.png')
    .option('--loss-curve <file>', 'SVG of the losses')
    .option('--json <file>', 'write the figures to this file')
    .action(runMnist)
  program
    .command('flexpoint')
    .description('Trains a two-layer network on CIFAR-10 in several number formats.')
    .option('--data <folder>', 'files of the binary version of CIFAR-10; made images without it')
    .option(
      '--format <list>',
      'f32, flexN+M, f16, bf16, mxfp8, mxfp6, mxfp4, mxint8; separated by commas',
      'f32,flex16+5',
    )
    .option('--steps <count>', 'training steps', wholeNumber, 300)
    .option('--batch <images>', 'images in a step', wholeNumber, 128)
    .option('--hidden <units>', 'width of the hidden layer', wholeNumber, 128)
    .option('--learning-rate <rate>', 'of SGD with a momentum of 0.9', positive, 0.01)
    .option('--seeds <count>', 'runs of each format', wholeNumber, 1)
    .option('--threads <count>', 'threads of the wasm backend (default: its own choice)', wholeNumber)
    .option('--svg <folder>', 'pictures of the losses, and of scales and predictions')
    .option('--json <file>', 'write the figures to this file')
    .action(runFlexpoint)
  withImages(
    formatsCommand(program, 'alexnet', 'Trains AlexNet, sized for CIFAR-10, in several number formats.', {
      steps: 300,
      batch: 64,
      learningRate: 0.02,
    }),
  )
    .option('--width <factor>', 'channels and units, as a factor of those published', positive, 0.25)
    .action(runAlexNet)
  withImages(
    formatsCommand(program, 'resnet', 'Trains a residual network on CIFAR-10 in several number formats.', {
      steps: 200,
      batch: 64,
      learningRate: 0.1,
    }),
  )
    .option('--depth <layers>', '6n + 2: 20, 32, 44, 56, 110', wholeNumber, 20)
    .action(runResNet)
  withImages(
    formatsCommand(program, 'wgan', 'Trains a Wasserstein GAN on CIFAR-10 in several number formats.', {
      steps: 150,
      batch: 32,
      learningRate: 5e-5,
    }),
  )
    .option('--width <channels>', 'channels before the last layer of the generator', wholeNumber, 32)
    .option('--samples <folder>', 'PNG with samples of each run')
    .action(runGan)
  formatsCommand(program, 'gpt', 'Trains a small GPT on characters in several number formats.', {
    steps: 600,
    batch: 12,
    learningRate: 1e-3,
  })
    .option('--text <file>', 'a text to train on (default: Moby-Dick)')
    .option('--layers <count>', 'blocks', wholeNumber, 4)
    .option('--heads <count>', 'heads of attention', wholeNumber, 4)
    .option('--width <numbers>', 'of a position', wholeNumber, 128)
    .option('--block <tokens>', 'length of a sequence', wholeNumber, 64)
    .action(runGpt)
  addSparseCommands(program)
  return program
}

/** A command that trains in one format after the other, from the same weights and batches. */
function formatsCommand(
  program: Command,
  name: string,
  description: string,
  budget: { steps: number; batch: number; learningRate: number },
): Command {
  return program
    .command(name)
    .description(description)
    .option('--format <list>', `${formatNames}; separated by commas`, 'f32,flex16+5')
    .option('--seed <integer>', 'of weights and batches', wholeNumberFrom0, 1)
    .option('--seeds <count>', 'runs of each format, with seeds from --seed on', wholeNumber, 1)
    .option('--steps <count>', 'training steps', wholeNumber, budget.steps)
    .option('--batch <examples>', 'examples in a step', wholeNumber, budget.batch)
    .option('--learning-rate <rate>', 'highest learning rate', positive, budget.learningRate)
    .option('--threads <count>', 'threads of the wasm backend (default: its own choice)', wholeNumber)
    .addOption(
      new Option('--variant <name>', 'code of the wasm backend (default: the fastest that runs here)').choices([
        'plain',
        'relaxed',
        'wide',
      ]),
    )
    .option('--no-storage', 'only round to the format, with values in f32 memory: faster, the same numbers')
    .option('--save <folder>', 'checkpoints of all runs; Ctrl-C saves the one that is under way')
    .option('--resume', 'go on from the checkpoints in the folder of --save')
    .option('--svg <file>', 'picture of the losses of all runs')
    .option('--json <file>', 'write the figures to this file')
}

function withImages(command: Command): Command {
  return command
    .option('--data <folder>', 'files of the binary version of CIFAR-10; made images without it')
    .option('--download', 'get CIFAR-10 (163 MB), into the folder of --data or ~/.cache/tessera/cifar-10')
}
