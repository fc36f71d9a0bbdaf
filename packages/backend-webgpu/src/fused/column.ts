import type { FusedInstruction } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment, WebGpuFeatures } from '../program/contract.ts'
import { laneOf, scalar, vector, type Width } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { type Reduction, reduction } from '../wgsl/operations.ts'
import { indented, Shader } from '../wgsl/shader.ts'
import { Evaluator } from './evaluator.ts'
import { foldWorkgroups } from './groups.ts'
import { movesAlong, type Nest } from './nest.ts'

/** Kept elements, or quads of them, that a workgroup has side by side. */
const keptPerGroup = 16
const softwareGroup = 64

/** Invocations that share the reduced axes of a column: on a graphics card enough to keep it busy, on a processor one. */
function partsOf(length: number, { software }: WebGpuFeatures, invocations: number): number {
  const most = software ? 1 : Math.min(16, invocations / keptPerGroup)
  let parts = 1
  while (2 * parts <= most && 8 * parts <= length) parts *= 2
  return parts
}

/**
 * One invocation, or several that add up what they have, for each kept element (or four along the last axis); they walk over the reduced axes.
 */
export function planColumn(nest: Nest, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const { domain, instructions, stores, reducedStart, reducedEnd } = nest.body
  const kept = [...domain.slice(0, reducedStart), ...domain.slice(reducedEnd)]
  const count = sizeOf(kept)
  const length = sizeOf(domain.slice(reducedStart, reducedEnd))
  if (count === 0) return { dispatches: [] }
  const width = nest.quads ? vector : scalar
  const shader = new Shader(environment, memory, nest.wishes)
  const number = (value: number): string => shader.number(value)
  const evaluator = new Evaluator(nest, shader, () => nest.quads)
  const invocations = count / width.lanes
  const parts = partsOf(length, environment.features, environment.limits.invocations)
  const perGroup = parts === 1 ? softwareGroup : keptPerGroup
  const { workgroups, index } = foldWorkgroups(Math.ceil(invocations / perGroup), environment.limits, number)
  const isReduced = (axis: number): boolean => axis >= reducedStart && axis < reducedEnd
  const axesWhere = (take: (axis: number) => boolean) =>
    domain.flatMap((extent, axis) =>
      take(axis) ? [{ extent, strides: nest.walks.map(({ strides }) => strides[axis]!) }] : [],
    )
  const reductions = instructions.flatMap((instruction, i) =>
    instruction.kind === 'reduce'
      ? [{ i, instruction, state: reduction(instruction.op, instruction.dtype, width) }]
      : [],
  )
  const holdsReduction = stores.map((stored) => instructions[stored]!.kind === 'reduce')
  const outputsWhere = (take: (output: number) => boolean): number[] =>
    nest.outputs.flatMap((_, output) => (take(output) ? [output] : []))
  const varies = (output: number): boolean => movesAlong(domain, reducedStart, reducedEnd, nest.outputs[output]!)
  const repeated = outputsWhere((output) => !holdsReduction[output] && varies(output))
  const once = outputsWhere((output) => !holdsReduction[output] && !varies(output))
  const reduced = outputsWhere((output) => holdsReduction[output]!)

  const body = [
    `let invocation = ${index} * ${perGroup} + i32(local) % ${perGroup};`,
    `let part = i32(local) / ${perGroup};`,
    `let isActive = invocation < ${number(invocations)};`,
    // Inactive ones take part in barriers.
    ...(parts === 1 ? ['if (!isActive) { return; }'] : []),
    `let point = min(invocation, ${number(invocations)} - 1)${nest.quads ? ' * 4' : ''};`,
    ...positionsOf(
      'point',
      axesWhere((axis) => !isReduced(axis)),
      nest.walks.map(({ name }) => `${name}Kept`),
      number,
    ),
    ...reductions.map(({ i, state }) => `var total${i} = ${state.identity};`),
    `for (var element = part; element < ${number(length)}; element += ${parts}) {`,
    ...indented([
      ...positionsOf(
        'element',
        axesWhere(isReduced),
        nest.walks.map(({ name }) => `${name}Along`),
        number,
      ),
      ...nest.walks.map(({ name }) => `let ${name} = ${name}Kept + ${name}Along;`),
      ...instructions.flatMap((instruction, i) => (instruction.kind === 'reduce' ? [] : evaluator.emit(i))),
      ...reductions.map(({ i, instruction, state }) => {
        const value = evaluator.value(instruction.argument, width)
        return `total${i} = ${state.combine(`total${i}`, value)};`
      }),
      ...guarded(
        'isActive',
        repeated.flatMap((output) => evaluator.store(output, width)),
      ),
      ...(once.length === 0
        ? []
        : [
            `if (isActive && element == ${number(length)} - 1) {`,
            ...indented(once.flatMap((output) => evaluator.store(output, width))),
            '}',
          ]),
    ]),
    '}',
    ...addUp(reductions, shader, parts, perGroup, width),
    ...reductions.map(({ i }) => `let v${i} = total${i};`),
    ...guarded('isActive && part == 0', [
      ...reduced.flatMap((output) => [
        `let ${nest.outputs[output]!.name} = ${nest.outputs[output]!.name}Kept;`,
        ...evaluator.store(output, width),
      ]),
    ]),
  ]
  return { dispatches: [shader.dispatch({ name: 'column', body, workgroupSize: perGroup * parts, workgroups })] }
}

const guarded = (condition: string, statements: readonly string[]): string[] =>
  statements.length === 0 ? [] : [`if (${condition}) {`, ...indented(statements), '}']

/** Brings the parts of each total together in the first part's invocation, as a tree. */
function addUp(
  reductions: readonly { readonly i: number; readonly instruction: FusedInstruction; readonly state: Reduction }[],
  shader: Shader,
  parts: number,
  perGroup: number,
  width: Width,
): string[] {
  if (parts === 1 || reductions.length === 0) return []
  return reductions.flatMap(({ i, instruction, state }) => {
    const type = width.type(laneOf(instruction.dtype)!)
    shader.declare(`var<workgroup> shared${i}: array<${type}, ${perGroup * parts}>;`)
    return [
      `shared${i}[local] = total${i};`,
      'workgroupBarrier();',
      `for (var distance = ${(perGroup * parts) / 2}u; distance >= ${perGroup}u; distance >>= 1u) {`,
      `  if (local < distance) {`,
      `    let one = shared${i}[local];`,
      `    let other = shared${i}[local + distance];`,
      `    shared${i}[local] = ${state.combine('one', 'other')};`,
      '  }',
      '  workgroupBarrier();',
      '}',
      `total${i} = shared${i}[local];`,
    ]
  })
}
