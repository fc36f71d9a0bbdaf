import { attentionChoices } from '@tessera/models-gpt'
import { Command, Option } from 'commander'
import { evaluateCommand, partNames } from './commands/evaluate.ts'
import { sampleCommand } from './commands/sample.ts'
import { trainCommand } from './commands/train.ts'
import {
  append,
  attentionKind,
  fraction,
  notNegative,
  positive,
  share,
  tokenizerName,
  wholeNumber,
  wholeNumberFrom0,
} from './option-types.ts'
import { defaultPreset, defaultSeed, presets } from './recipe.ts'
import { backendNames, variantNames } from './runtime.ts'

/** The command line of `tessera-gpt`. */
export function makeProgram(): Command {
  const program = new Command('tessera-gpt').description('Trains GPT models on text, and writes text with them.')
  program.addCommand(trainProgram())
  program.addCommand(sampleProgram())
  program.addCommand(evaluateProgram())
  return program.allowExcessArguments(false)
}

function trainProgram(): Command {
  const command = new Command('train')
    .description('Trains a model. Without options: a small one on Moby-Dick, in about two minutes.')
    .option('--data <file>', 'UTF-8 text to train on, gzip or not (default: Moby-Dick)')
    .addOption(new Option('--preset <name>', 'sizes and settings, see below').choices(Object.keys(presets)))
    .option('--layers <count>', 'blocks of the model', wholeNumber)
    .option('--heads <count>', 'attention heads of each block', wholeNumber)
    .option('--width <channels>', 'channels of the model, a multiple of the heads', wholeNumber)
    .option('--block <tokens>', 'longest text that the model sees', wholeNumber)
    .option('--biases', 'linear layers and norms with biases')
    .option('--no-biases', 'without')
    .option('--dropout <share>', 'share of activations dropped', fraction)
    .option('--attention <kind>', attentionChoices, attentionKind)
    .option('--recompute', 'compute the inside of blocks again in the backward pass: memory for time')
    .option('--initial-deviation <number>', 'of the first weights of linear layers', positive)
    .option(
      '--tokenizer <kind>',
      'character, bpe (trained on the text, 1,024 tokens), bpe:SIZE, or gpt2',
      tokenizerName,
    )
    .option('--batch <sequences>', 'sequences in a step', wholeNumber)
    .option('--steps <count>', 'updates until the end', wholeNumber)
    .option('--learning-rate <rate>', 'highest learning rate', positive)
    .option('--minimum-learning-rate <rate>', 'learning rate at the end, along a cosine', notNegative)
    .option('--warmup <steps>', 'steps in which the learning rate rises', wholeNumberFrom0)
    .option('--beta2 <decay>', "AdamW's decay of squared gradients", fraction)
    .option('--weight-decay <rate>', 'weight decay of matrices', notNegative)
    .option('--clip <norm>', 'largest norm of all gradients together', positive)
    .option('--evaluate-every <steps>', 'steps between evaluations, after which a checkpoint is saved', wholeNumber)
    .option('--evaluation-batches <count>', 'batches in an evaluation', wholeNumber)
    .option('--seed <integer>', `for weights and batches (default: ${defaultSeed})`, wholeNumberFrom0)
    .option('--out <folder>', 'for checkpoint.safetensors and loss.svg (default: a new one in runs/)')
    .option('--resume <checkpoint>', 'go on with a run; its settings are those of the checkpoint')
    .option('--samples <count>', 'samples to print at the end', wholeNumberFrom0, 1)
    .addHelpText('after', presetTable())
    .action(trainCommand)
  return addCommonOptions(command)
}

function sampleProgram(): Command {
  const command = new Command('sample')
    .description('Writes text with a trained model.')
    .requiredOption('--checkpoint <path>', 'checkpoint of a run, or a folder with a GPT-2 of Hugging Face')
    .option('--prompt <text>', 'beginning of the text', '\n')
    .option('--tokens <count>', 'most tokens to write', wholeNumber, 500)
    .option('--temperature <number>', 'below 1 safer, above 1 wilder, 0 always the likeliest token', notNegative, 0.8)
    .option('--top-k <count>', 'choose among the k likeliest tokens only', wholeNumber)
    .option('--top-p <share>', 'choose among the likeliest tokens that together have this probability', share)
    .option('--stop <text>', 'end before this text (repeatable)', append, [])
    .option('--seed <integer>', 'the same seed writes the same text', wholeNumberFrom0, defaultSeed)
    .option('--count <samples>', 'how many texts', wholeNumber, 1)
    .addOption(
      new Option('--weights <format>', 'numbers that weights are rounded to')
        .choices(['f32', 'f16', 'bf16', 'int8', 'int4'])
        .default('f32'),
    )
    .action(sampleCommand)
  return addCommonOptions(command)
}

function evaluateProgram(): Command {
  const command = new Command('eval')
    .description('Measures the loss of a trained model over a text.')
    .requiredOption('--checkpoint <path>', 'checkpoint of a run, or a folder with a GPT-2 of Hugging Face')
    .option('--data <file>', 'UTF-8 text, gzip or not (default: Moby-Dick)')
    .addOption(
      new Option('--part <name>', 'validation: the last 10 %, which training leaves out; or all')
        .choices(partNames)
        .default(partNames[0]),
    )
    .option('--batch <sequences>', 'sequences at a time', wholeNumber, 16)
    .action(evaluateCommand)
  return addCommonOptions(command)
}

function addCommonOptions(command: Command): Command {
  return command
    .addOption(new Option('--backend <name>', 'what computes').choices(backendNames).default(backendNames[0]))
    .addOption(
      new Option('--variant <name>', 'code of the wasm backend (default: the fastest that runs here)').choices(
        variantNames,
      ),
    )
    .option('--threads <count>', 'threads of the wasm backend (default: its own choice)', wholeNumber)
    .option('--json <file>', 'write the figures to this file')
    .allowExcessArguments(false)
}

/** The presets, with every default that they set. */
function presetTable(): string {
  const rows = Object.entries(presets).map(([name, { model, recipe }]) => [
    name === defaultPreset ? `${name} (default)` : name,
    ...[model.layers, model.heads, model.width, model.blockSize, model.biases === false ? 'no' : 'yes'].map(String),
    ...[recipe.tokenizer, recipe.batch, recipe.steps, recipe.learningRate, recipe.beta2].map(String),
  ])
  const head = ['preset', 'layers', 'heads', 'width', 'block', 'biases', 'tokenizer', 'batch', 'steps', 'rate', 'beta2']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd()
  return [
    '',
    'Presets, and the defaults that they set:',
    line(head),
    ...rows.map(line),
    '',
    'All of them: minimum rate a tenth of the rate, warm-up 100 steps or a tenth of all, weight decay 0.1, clip 1, dropout 0,',
    'initial deviation 0.05 with quick and nanogpt-cpu, 0.02 with published sizes (times √(preset width / --width)),',
    `evaluation every ${presets['nanogpt-cpu']!.recipe.evaluateEvery} steps on ${presets['nanogpt-cpu']!.recipe.evaluationBatches} batches ` +
      `(${defaultPreset}: every ${presets[defaultPreset]!.recipe.evaluateEvery} on ${presets[defaultPreset]!.recipe.evaluationBatches}).`,
  ].join('\n')
}
