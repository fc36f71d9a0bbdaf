import { sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { scalar, vector } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { reduction } from '../wgsl/operations.ts'
import { indented, Shader } from '../wgsl/shader.ts'
import { Evaluator } from './evaluator.ts'
import { foldWorkgroups } from './groups.ts'
import { movesAlong, type Nest } from './nest.ts'

const workgroupSize = 64

/** One invocation for each kept element (or four along the last axis), which walks over the reduced axes. */
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
  const { workgroups, index } = foldWorkgroups(Math.ceil(invocations / workgroupSize), environment.limits, number)
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
    `let invocation = ${index} * ${workgroupSize} + i32(local);`,
    `if (invocation >= ${number(invocations)}) { return; }`,
    `let point = invocation${nest.quads ? ' * 4' : ''};`,
    ...positionsOf(
      'point',
      axesWhere((axis) => !isReduced(axis)),
      nest.walks.map(({ name }) => `${name}Kept`),
      number,
    ),
    ...reductions.map(({ i, state }) => `var total${i} = ${state.identity};`),
    `for (var element = 0; element < ${number(length)}; element++) {`,
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
      ...repeated.flatMap((output) => evaluator.store(output, width)),
      ...(once.length === 0
        ? []
        : [
            `if (element == ${number(length)} - 1) {`,
            ...indented(once.flatMap((output) => evaluator.store(output, width))),
            '}',
          ]),
    ]),
    '}',
    ...reductions.map(({ i }) => `let v${i} = total${i};`),
    ...reduced.flatMap((output) => [
      `let ${nest.outputs[output]!.name} = ${nest.outputs[output]!.name}Kept;`,
      ...evaluator.store(output, width),
    ]),
  ]
  return { dispatches: [shader.dispatch({ name: 'column', body, workgroupSize, workgroups })] }
}
