import { Command, InvalidArgumentError } from 'commander'
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
