import { attentionChoices, type SparseTransformerPreset } from '@tessera/models-gpt'
import { type Command, Option } from 'commander'
import { fraction, positive, wholeNumber, wholeNumberFrom0 } from '../option-types.ts'
import { runAudio, runImages, runText } from './command.ts'
import { runRecompute } from './recompute.ts'

interface Defaults {
  readonly attention: string
  readonly presets: readonly SparseTransformerPreset[]
  readonly steps: number
  readonly batch: number
  readonly sampleCount: number
}

/** Commands that train Sparse Transformers on bytes. */
export function addSparseCommands(program: Command): void {
  sparseCommand(program, 'sparse-text', 'Trains Sparse Transformers on the bytes of a text.', {
    attention: 'fixed',
    presets: ['text-small', 'enwik8'],
    steps: 600,
    batch: 4,
    sampleCount: 2,
  })
    .option('--length <bytes>', 'positions of a sequence', wholeNumber)
    .option('--data <file>', 'a file to train on, gzip or not (default: Moby-Dick); a folder with --download')
    .option('--download', 'get enwik8 (36 MB), into the folder of --data or ~/.cache/tessera/enwik8')
    .action(runText)
  sparseCommand(program, 'sparse-images', 'Trains Sparse Transformers on CIFAR-10, byte by byte.', {
    attention: 'strided',
    presets: ['cifar-small', 'cifar-10'],
    steps: 400,
    batch: 1,
    sampleCount: 8,
  })
    .option('--data <folder>', 'files of the binary version of CIFAR-10; made images without it')
    .option('--download', 'get CIFAR-10 (163 MB), into the folder of --data or ~/.cache/tessera/cifar-10')
    .action(runImages)
  sparseCommand(program, 'sparse-audio', 'Trains Sparse Transformers on sound in µ-law, sample by sample.', {
    attention: 'strided',
    presets: ['audio-small', 'audio-65k', 'audio-262k', 'audio-1m'],
    steps: 400,
    batch: 1,
    sampleCount: 2,
  })
    .option('--length <samples>', 'positions of a sequence', wholeNumber)
    .option('--data <path>', 'a WAV file or a folder of them; made music without it')
    .action(runAudio)
  program
    .command('recompute')
    .description('Compares memory, time and gradients of a step with and without recomputation of blocks.')
    .option('--layers <list>', 'numbers of residual blocks, separated by commas', '8,16,32')
    .option('--width <numbers>', 'of a position', wholeNumber, 64)
    .option('--heads <count>', 'heads of attention', wholeNumber, 2)
    .option('--length <positions>', 'of a sequence', wholeNumber, 512)
    .option('--stride <positions>', 'of strided attention', wholeNumber, 32)
    .option('--dropout <share>', 'dropped at the end of residual branches', fraction, 0.1)
    .option('--no-fuse', 'every op on its own: slower, and the same bits either way')
    .option('--rounds <count>', 'steps whose time is taken', wholeNumber, 5)
    .option('--json <file>', 'write the figures to this file')
    .action(runRecompute)
}

function sparseCommand(program: Command, name: string, description: string, defaults: Defaults): Command {
  const { attention, presets, steps, batch, sampleCount } = defaults
  return program
    .command(name)
    .description(description)
    .option('--attention <list>', `${attentionChoices}; separated by commas`, attention)
    .addOption(new Option('--preset <name>', 'sizes of the model').choices(presets).default(presets[0]))
    .option('--layers <count>', 'residual blocks', wholeNumber)
    .option('--heads <count>', 'heads of attention', wholeNumber)
    .option('--width <numbers>', 'of a position', wholeNumber)
    .option('--dropout <share>', 'dropped at the end of residual branches', fraction)
    .option('--no-recompute', 'keep what the backward pass needs instead of computing it again')
    .option('--seed <integer>', 'of weights, order and samples', wholeNumberFrom0, 1)
    .option('--seeds <count>', 'runs of each kind of attention, with seeds from --seed on', wholeNumber, 1)
    .option('--steps <count>', 'training steps', wholeNumber, steps)
    .option('--minutes <time>', 'as many steps as fit into this time, for each run', positive)
    .option('--batch <sequences>', 'sequences in a step', wholeNumber, batch)
    .option('--learning-rate <rate>', 'highest learning rate', positive, 2e-3)
    .option('--tested <count>', 'sequences of the test that are looked at', wholeNumber, 20)
    .option('--threads <count>', 'threads of the wasm backend (default: its own choice)', wholeNumber)
    .addOption(
      new Option('--variant <name>', 'code of the wasm backend (default: the fastest that runs here)').choices([
        'plain',
        'relaxed',
        'wide',
      ]),
    )
    .option('--save <folder>', 'checkpoints of all runs; Ctrl-C saves the one that is under way')
    .option('--resume', 'go on from the checkpoints in the folder of --save')
    .option('--samples <folder>', 'draw sequences from each trained model, with nothing given')
    .option('--sample-count <count>', 'how many', wholeNumber, sampleCount)
    .option('--temperature <factor>', 'of the samples; 1 is the distribution of the model', positive, 1)
    .option('--svg <file>', 'picture of the losses of all runs')
    .option('--json <file>', 'write the figures to this file')
}
