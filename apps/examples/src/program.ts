import { Command, InvalidArgumentError } from 'commander'
import { runFlexpoint } from './flexpoint/command.ts'
import { runMnist } from './mnist/command.ts'

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
  return program
}

function numberReader(expected: string, fits: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !fits(value)) throw new InvalidArgumentError(`Expected ${expected}.`)
    return value
  }
}

const wholeNumber = numberReader('a whole number from 1 up', (x) => Number.isSafeInteger(x) && x >= 1)
const wholeNumberFrom0 = numberReader('a whole number from 0 up', (x) => Number.isSafeInteger(x) && x >= 0)
const positive = numberReader('a number above 0', (x) => x > 0 && Number.isFinite(x))
