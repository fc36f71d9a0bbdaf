import type { Expression, FunctionBuilder, Local, Operand } from '../../assembler/index.ts'
import { f32, i32 } from '../../assembler/index.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { tileColumns } from '../matmul/tuning.ts'

/** Most queries of a group: a multiple of the columns and, where it can be, of the rows of every variant's tile. */
export const groupQueries = 48

/** Keys whose scores are computed at a time; as for `groupQueries`. */
export function chunkKeys(tuning: MatmulTuning): number {
  return Math.floor(96 / tuning.rows) * tuning.rows
}

/** Distance bounds that bound nothing. */
export const farthest = 2 ** 30

/** Sizes of a problem, which do not change from group to group. */
const sizeFields = ['width', 'valueWidth'] as const
/** What a driver says of each group: how many queries, the position of the first, and the distance of their positions. */
const groupFields = ['count', 'position', 'positionStep'] as const
/** Addresses of rows of the group's queries and the bytes from one row to the next. */
const rowFields = [
  'query',
  'queryStep',
  'output',
  'outputStep',
  'logarithm',
  'logarithmStep',
  'projection',
  'projectionStep',
  'gradient',
  'gradientStep',
  'queryGradient',
  'queryGradientStep',
] as const
/** Addresses of working memory. */
const scratchFields = [
  /** A row of zeros as wide as a tile. */
  'zeros',
  /** Queries times scale, and gradients, transposed in strips: `[strip][width][column]`. */
  'packedQueries',
  'packedGradients',
  /** Mixed values, transposed in strips. */
  'sums',
  /** One number for each query: the largest score so far, the sum of exponentials, or what the backward pass takes. */
  'maxima',
  'totals',
  /** Scores of one chunk of keys, `[key][column]`; in the backward pass those of all strips side by side. */
  'scores',
  /** The gradients of the scores, in the backward pass. */
  'slopes',
  /** For the last columns of products, which do not fill a tile. */
  'tail',
  /** Keys and values of a chunk whose rows lie apart. */
  'keys',
  'values',
] as const
/** Floats. */
const factorFields = ['scale', 'scaleLog2e'] as const

const names = [...sizeFields, ...factorFields, ...scratchFields, ...groupFields, ...rowFields] as const

export type FrameField = Exclude<(typeof names)[number], (typeof factorFields)[number]>
export type FrameFactor = (typeof factorFields)[number]

/** Bytes at the start of a thread's scratch memory where the functions of a group find what they work on. */
export const frameBytes = Math.ceil((4 * names.length) / 64) * 64

const offsetOf = (name: FrameField | FrameFactor): number => 4 * names.indexOf(name)

/** A word of the frame at an address. */
export function field(frame: Operand<'i32'>, name: FrameField): Expression<'i32'> {
  return i32.load(frame, offsetOf(name))
}

/** A float of the frame. */
export function factor(frame: Operand<'i32'>, name: FrameFactor): Expression<'f32'> {
  return f32.load(frame, offsetOf(name))
}

/** Writes words of the frame. */
export function setFields(
  fn: Pick<FunctionBuilder, 'store'>,
  frame: Local<'i32'>,
  values: { readonly [Name in FrameField]?: Operand<'i32'> },
): void {
  for (const [name, value] of Object.entries(values)) fn.store('i32', frame, value, offsetOf(name as FrameField))
}

export interface GroupSizes {
  /** Numbers of a query and of a key. */
  readonly width: number
  /** Numbers of a value. */
  readonly valueWidth: number
  readonly scale: number
}

/** Words from which `enterFrame` makes a thread's frame. */
export const frameTemplateWords = sizeFields.length + factorFields.length + scratchFields.length

/** The start of the frame, with addresses relative to the thread's scratch memory, and the bytes of scratch of a thread. */
export function frameTemplate(
  { width, valueWidth, scale }: GroupSizes,
  tuning: MatmulTuning,
  pass: 'forward' | 'backward',
): { readonly words: Int32Array; readonly threadBytes: number } {
  const columns = tileColumns(tuning)
  const keys = chunkKeys(tuning)
  const backward = pass === 'backward' ? 1 : 0
  const floats: Record<(typeof scratchFields)[number], number> = {
    zeros: columns,
    packedQueries: groupQueries * width,
    packedGradients: backward * groupQueries * valueWidth,
    sums: (1 - backward) * groupQueries * valueWidth,
    maxima: groupQueries,
    totals: groupQueries,
    scores: keys * (backward ? groupQueries : columns),
    slopes: backward * keys * groupQueries,
    tail: backward * 2 * columns * Math.max(keys, groupQueries),
    keys: keys * width,
    values: keys * valueWidth,
  }
  const words = new Int32Array(frameTemplateWords)
  words.set([width, valueWidth])
  new Float32Array(words.buffer).set([scale, scale * Math.LOG2E], sizeFields.length)
  let at = frameBytes
  scratchFields.forEach((name, i) => {
    words[sizeFields.length + factorFields.length + i] = at
    at += Math.ceil((4 * floats[name]) / 64) * 64
  })
  return { words, threadBytes: at }
}

/** Makes the frame at the start of the thread's scratch memory from the template at an address, and the row of zeros. */
export function enterFrame(
  fn: FunctionBuilder,
  tuning: MatmulTuning,
  template: Local<'i32'>,
  scratch: Local<'i32'>,
): void {
  const fixed = sizeFields.length + factorFields.length
  for (let i = 0; i < frameTemplateWords; i++) {
    const word = i32.load(template, 4 * i)
    fn.store('i32', scratch, i < fixed ? word : i32.add(scratch, word), 4 * i)
  }
  const zeros = fn.local('i32', 'zeros', field(scratch, 'zeros'))
  for (let i = 0; i < tileColumns(tuning); i++) fn.store('f32', zeros, 0, 4 * i)
}
