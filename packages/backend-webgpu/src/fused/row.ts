import type { FusedInstruction } from '@tessera/core'
import { isFloat, sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { laneOf, scalar, vector } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { type Reduction, reduction } from '../wgsl/operations.ts'
import { indented, Shader } from '../wgsl/shader.ts'
import { Evaluator } from './evaluator.ts'
import { foldWorkgroups } from './groups.ts'
import { argumentsOf, constantAlong, movesAlong, type Nest, needed, type Walk, withoutQuads } from './nest.ts'
import { combineParts, type Sharing, subgroupOf } from './share.ts'

const workgroupSize = 64
/** Additions after which a sum goes on from 0, so that rounding errors of long rows do not pile up. */
const stepsPerPart = 64

/**
 * On a GPU, enough invocations for a row to read four elements each at a time. On a processor barriers are slow, and one invocation takes a
 * row unless there are only few.
 */
function shareRows(rows: number, steps: number, environment: WebGpuEnvironment): Sharing {
  const { software } = environment.features
  if (software && rows >= 16) return { threads: 1, workgroupSize: rows >= 256 ? 16 : 4, subgroup: undefined }
  const most = environment.limits.invocations
  const limit = Math.min(most, software ? 8 : 256)
  let threads = 1
  while (threads < limit && 2 * threads <= steps) threads *= 2
  const size = software ? threads : Math.max(threads, workgroupSize)
  return { threads, workgroupSize: size, subgroup: threads > 1 ? subgroupOf(environment, size) : undefined }
}

/** Reductions that are finished before others begin, and at last what is stored. */
interface Pass {
  readonly reductions: readonly number[]
  readonly stores: readonly number[]
}

/**
 * Rows: invocations that share a row walk over it once for each chain of reductions and compute what they need from memory again. The last
 * walk stores.
 */
export function planRow(whole: Nest, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const { domain, instructions, rowAxes, stores } = whole.body
  // Rows without axes do not run along the last one.
  const nest = rowAxes > 0 ? whole : withoutQuads(whole)
  const rowStart = domain.length - rowAxes
  const rows = sizeOf(domain.slice(0, rowStart))
  const length = sizeOf(domain.slice(rowStart))
  if (rows === 0) return { dispatches: [] }
  const alongRow = (walk: Walk): boolean => movesAlong(domain, rowStart, domain.length, walk)
  const perRow = constantAlong(nest, alongRow)
  const { quads } = nest
  const width = quads ? vector : scalar
  const shader = new Shader(environment, memory, nest.wishes)
  const number = (value: number): string => shader.number(value)
  const evaluator = new Evaluator(nest, shader, (i) => quads && !perRow[i])
  const { limits } = environment
  const sharing = shareRows(rows, Math.ceil(length / width.lanes), environment)
  const { threads } = sharing
  const rowsPerGroup = sharing.workgroupSize / threads
  const { workgroups, index } = foldWorkgroups(Math.ceil(rows / rowsPerGroup), limits, number)

  const declared = new Set<number>()
  /** Declares instructions that have one value for the row, each once. */
  const declarePerRow = (list: readonly number[]): string[] =>
    list.flatMap((i) => {
      if (!perRow[i] || declared.has(i) || instructions[i]!.kind === 'reduce') return []
      declared.add(i)
      return evaluator.emit(i)
    })
  const step = threads * width.lanes
  const loop = (list: readonly number[], statements: readonly string[], sums: readonly number[]): string[] => {
    const first = `lane${quads ? ' * 4' : ''}`
    const inner = [
      ...walkRow(nest, rowStart, number),
      ...list.flatMap((i) => (perRow[i] ? [] : evaluator.emit(i))),
      ...statements,
    ]
    if (sums.length === 0 || length <= step * stepsPerPart) {
      return [
        ...sums.map((i) => `var part${i} = total${i};`),
        `for (var element = ${first}; element < ${number(length)}; element += ${step}) {`,
        ...indented(inner),
        '}',
        ...sums.map((i) => `total${i} = part${i};`),
      ]
    }
    return [
      `for (var start = ${first}; start < ${number(length)}; start += ${step * stepsPerPart}) {`,
      ...indented([
        ...sums.map((i) => `var part${i} = ${width.type('f32')}();`),
        `let end = min(start + ${step * stepsPerPart}, ${number(length)});`,
        `for (var element = start; element < end; element += ${step}) {`,
        ...indented(inner),
        '}',
        ...sums.map((i) => `total${i} += part${i};`),
      ]),
      '}',
    ]
  }

  const body: string[] = [
    `let row = ${index} * ${rowsPerGroup} + i32(local) / ${threads};`,
    `let lane = i32(local) % ${threads};`,
    `let isActive = row < ${number(rows)};`,
    `let outer = min(row, ${number(rows)} - 1);`,
    ...walkOuter(nest, rowStart, number),
  ]
  for (const { reductions, stores: stored } of planPasses(instructions, stores)) {
    const varying = stored.filter((output) => alongRow(nest.outputs[output]!))
    const single = stored.filter((output) => !varying.includes(output))
    const list = needed(instructions, [
      ...reductions.map((i) => argumentsOf(instructions[i]!)[0]!),
      ...stored.map((output) => stores[output]!),
    ])
    body.push(...declarePerRow(list))
    const states = reductions.map((i) => ({ i, state: accumulator(instructions[i]!, quads ? 4 : 1) }))
    for (const { i, state } of states) body.push(`var total${i} = ${state.wide.identity};`)
    const sums = reductions.filter((i) => isFloatSum(instructions[i]!))
    if (reductions.length > 0 || varying.length > 0) {
      const collect = states.map(({ i, state }) => {
        const value = evaluator.value(argumentsOf(instructions[i]!)[0]!, width)
        const total = sums.includes(i) ? `part${i}` : `total${i}`
        return `${total} = ${state.wide.combine(total, value)};`
      })
      const store = varying.flatMap((output) => evaluator.store(output, width))
      body.push(
        ...loop(list, [...collect, ...(store.length > 0 ? ['if (isActive) {', ...indented(store), '}'] : [])], sums),
      )
    }
    body.push(...finishReductions(states, shader, quads, sharing))
    if (single.length === 0) continue
    // An input in the same memory may still be read by others that share the row.
    if (threads > 1) body.push('workgroupBarrier();')
    body.push(
      'if (isActive && lane == 0) {',
      ...indented(single.flatMap((output) => evaluator.store(output, scalar))),
      '}',
    )
  }
  const { workgroupSize: size, subgroup } = sharing
  return { dispatches: [shader.dispatch({ name: 'row', body, workgroupSize: size, workgroups, subgroup })] }
}

const isFloatSum = (instruction: FusedInstruction): boolean =>
  instruction.kind === 'reduce' && instruction.op === 'reduceSum' && isFloat(instruction.dtype)

/** Positions along the row, from the row's own. */
function walkRow(nest: Nest, rowStart: number, number: (value: number) => string): string[] {
  const { domain } = nest.body
  const walks = nest.walks.filter((walk) => movesAlong(domain, rowStart, domain.length, walk))
  const axes = domain
    .slice(rowStart)
    .map((extent, axis) => ({ extent, strides: walks.map(({ strides }) => strides[rowStart + axis]!) }))
  return [
    ...positionsOf(
      'element',
      axes,
      walks.map(({ name }) => `${name}Along`),
      number,
    ),
    ...walks.map(({ name }) => `let ${name} = ${name}Row + ${name}Along;`),
  ]
}

/** Positions of a row's first elements. What does not vary along the row stays there. */
function walkOuter(nest: Nest, rowStart: number, number: (value: number) => string): string[] {
  const { domain } = nest.body
  const axes = domain
    .slice(0, rowStart)
    .map((extent, axis) => ({ extent, strides: nest.walks.map(({ strides }) => strides[axis]!) }))
  const name = (walk: Walk): string =>
    movesAlong(domain, rowStart, domain.length, walk) ? `${walk.name}Row` : walk.name
  return positionsOf('outer', axes, nest.walks.map(name), number)
}

/** Cuts a body into walks over the row: a reduction must have seen the whole row before anything uses its result. */
function planPasses(instructions: readonly FusedInstruction[], stores: readonly number[]): Pass[] {
  const level: number[] = []
  for (const instruction of instructions) {
    const before = Math.max(0, ...argumentsOf(instruction).map((argument) => level[argument]!))
    level.push(instruction.kind === 'reduce' ? before + 1 : before)
  }
  const reductions = instructions.flatMap((instruction, i) => (instruction.kind === 'reduce' ? [i] : []))
  const last = Math.max(0, ...reductions.map((i) => level[i]!))
  const passes = Array.from(
    { length: last },
    (_, number): Pass => ({
      reductions: reductions.filter((i) => level[i] === number + 1),
      stores: [],
    }),
  )
  return [...passes, { reductions: [], stores: stores.map((_, output) => output) }]
}

interface Accumulator {
  readonly wide: Reduction
  readonly one: Reduction
  readonly type: string
}

function accumulator(instruction: FusedInstruction, lanes: 1 | 4): Accumulator {
  if (instruction.kind !== 'reduce') throw new Error('not a reduction')
  const { op, dtype } = instruction
  return {
    wide: reduction(op, dtype, lanes === 4 ? vector : scalar),
    one: reduction(op, dtype, scalar),
    type: laneOf(dtype)!,
  }
}

/** Brings the parts of reductions together: the four lanes of a vector, then the invocations that share the row. */
function finishReductions(
  states: readonly { readonly i: number; readonly state: Accumulator }[],
  shader: Shader,
  quads: boolean,
  sharing: Sharing,
): string[] {
  const lines = states.map(({ i, state }) => {
    const t = `total${i}`
    const value = quads
      ? state.one.combine(state.one.combine(`${t}.x`, `${t}.y`), state.one.combine(`${t}.z`, `${t}.w`))
      : t
    return `${sharing.threads === 1 ? 'let' : 'var'} v${i} = ${value};`
  })
  const values = states.map(({ i, state: { one, type } }) => ({ name: `v${i}`, type, combine: one.combine }))
  return [...lines, ...combineParts(values, shader, sharing)]
}
