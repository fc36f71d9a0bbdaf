import type { CallMemory, MemoryRange, WebGpuDispatch, WebGpuEnvironment } from '@tessera/backend-webgpu'
import { type AttentionProblem, mostWidth, RowShader } from '@tessera/backend-webgpu/kernel'
import { type OpCall, type Operand, sizeOf } from '@tessera/core'
import type { SparseAttentionAttributes } from '../op.ts'
import type { BlockPattern, SparsePattern } from '../patterns/pattern.ts'
import { type PatternRuns, runsOf } from './runs.ts'

/** Sparse attention, forward or backward, with its operands by name. */
export interface SparseProblem {
  readonly attention: AttentionProblem
  readonly patterns: readonly SparsePattern[]
}

/** `undefined` for calls that no shader of this folder computes: rows must be f32, a multiple of four wide, and at most 128. */
export function sparseProblem(
  { inputs, outputs, attributes }: OpCall<'sparseAttention' | 'sparseAttentionBackward' | 'sparseAttentionCached'>,
  inputNames: readonly string[],
  outputNames: readonly string[],
): SparseProblem | undefined {
  const { patterns, scale } = attributes as SparseAttentionAttributes
  if (inputs.length !== inputNames.length || outputs.length !== outputNames.length) return undefined
  const { position, ...operands }: Record<string, Operand> = Object.fromEntries([
    ...inputNames.map((name, i) => [name, inputs[i]!] as const),
    ...outputNames.map((name, i) => [name, outputs[i]!] as const),
  ])
  const { query, key, value } = operands as Record<'query' | 'key' | 'value', Operand>
  const attention = {
    operands,
    position,
    causal: position !== undefined,
    scale,
    queries: query.view.shape.at(-2) ?? 0,
    keys: key.view.shape.at(-2) ?? 0,
    width: query.view.shape.at(-1) ?? 0,
    valueWidth: value.view.shape.at(-1) ?? 0,
  }
  const fits =
    Object.values(operands).every(({ dtype, view }) => dtype === 'f32' && sizeOf(view.shape) > 0) &&
    [query, key, value].every(({ view }) => view.shape.length >= 3) &&
    (!position || position.dtype === 'i32') &&
    [attention.width, attention.valueWidth].every((extent) => extent % 4 === 0 && extent <= mostWidth)
  return fits ? { attention, patterns } : undefined
}

/** The bits of a block mask, line after line. */
function maskWords({ mask }: BlockPattern): Uint32Array {
  const words = new Uint32Array(Math.ceil(mask.length ** 2 / 32))
  mask.forEach((line, a) => {
    for (let b = 0; b < line.length; b++) {
      const bit = a * mask.length + b
      if (line[b] === '1') words[bit >> 5]! |= 1 << (bit & 31)
    }
  })
  return words
}

/** Where shaders run and where operands lie, with the masks of patterns, which all dispatches of a call share. */
export class Place {
  readonly environment: WebGpuEnvironment
  readonly memory: CallMemory
  readonly #masks = new Map<SparsePattern, MemoryRange>()

  constructor(environment: WebGpuEnvironment, memory: CallMemory) {
    this.environment = environment
    this.memory = memory
  }

  maskOf(pattern: BlockPattern): MemoryRange {
    const known = this.#masks.get(pattern)
    if (known) return known
    const range = this.memory.constants(maskWords(pattern))
    this.#masks.set(pattern, range)
    return range
  }
}

/**
 * A dispatch for each pattern, as heads take the patterns in turn.
 *
 * @param names operands that the shader uses
 * @param written those of them that it writes
 * @param rows how many rows each head has
 * @param write gives the statements that walk over the keys or queries of `row0`, and those that store what came of it
 */
export function forEachPattern(
  { attention, patterns }: SparseProblem,
  place: Place,
  { name, names, written, rows }: SparseDispatch,
  write: (
    shader: RowShader,
    runs: PatternRuns,
  ) => { readonly walk: readonly string[]; readonly stores: readonly string[] },
): WebGpuDispatch[] {
  return patterns.map((pattern, first) => {
    const turn = { first, step: patterns.length }
    const shader = new RowShader(attention, place.environment, place.memory, rows, names, written, 1, turn)
    const { head } = shader
    const mask = pattern.kind === 'blocks' ? head.shader.scratch(place.maskOf(pattern), 'u32') : undefined
    const runs = runsOf(
      pattern,
      head.number(attention.keys),
      head,
      (index) => `((${mask!.load(`(${index}) >> 5u`)} >> (u32(${index}) & 31u)) & 1u) == 1u`,
    )
    const { walk, stores } = write(shader, runs)
    return shader.dispatch(`${name}, ${pattern.kind}`, walk, () => stores)
  })
}

export interface SparseDispatch {
  readonly name: string
  readonly names: readonly string[]
  readonly written: readonly string[]
  readonly rows: number
}
