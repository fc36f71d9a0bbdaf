import type { OpCall } from '@tessera/core'
import { Finish } from '../../fused/finish.ts'
import { foldWorkgroups } from '../../fused/groups.ts'
import { combineParts, subgroupOf } from '../../fused/share.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { indented, Shader } from '../../wgsl/shader.ts'
import { decodeWord, wordsOf } from './decode.ts'
import type { QuantizedProblem } from './problem.ts'

const workgroupSize = 64
/** Rows of x that an invocation multiplies with the numbers that it has decoded. */
const mostRows = 4

/**
 * Each row of w is read once for up to four rows of x, and decoded in registers. On a graphics card some invocations share a row of w and read
 * neighbouring words; on a processor each has one of its own.
 */
export function planVectors(
  call: OpCall,
  problem: QuantizedProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { x, values, scales, rows, columns, depth, bits, block } = problem
  const finish = new Finish(call, false)
  const { offset, strides } = x.view
  const isInQuads = strides.at(-1) === 1 && offset % 4 === 0 && strides.slice(0, -1).every((stride) => stride % 4 === 0)
  const wishes = [
    { operand: x, writes: false, quads: isInQuads },
    { operand: values, writes: false, quads: true },
    { operand: scales, writes: false, quads: false },
  ]
  const shader = new Shader(environment, memory, [...wishes, ...finish.wishes])
  const number = (value: number): string => shader.number(value)
  const [vectors, , factors] = wishes.map((wish) => shader.access(wish))
  const words = shader.words(wishes[1]!)
  finish.declare(shader, [0, (call.epilogue?.result.shape ?? call.outputs[0]!.view.shape).length - 1])
  const count = wordsOf(problem)
  const threads = environment.features.software ? 1 : threadsFor(count)
  const subgroup = threads > 1 ? subgroupOf(environment, workgroupSize) : undefined
  const perGroup = workgroupSize / threads
  const together = Math.min(rows, mostRows)
  const [groupsN, groupsM] = [Math.ceil(columns / perGroup), Math.ceil(rows / together)]
  const { workgroups, index } = foldWorkgroups(groupsN * groupsM, environment.limits, number)
  const each = Array.from({ length: together }, (_, i) => i)
  const axes = x.view.shape.slice(0, -1).map((extent, axis) => ({ extent, strides: [strides[axis]!] }))
  const [scaleRow, scaleStep] = scales.view.strides as [number, number]
  const perRow = block === depth
  const quad = (i: number, at: string): string =>
    vectors!.loadQuad(
      `(xRow${i} + ${strides.at(-1) === 1 ? at : `${at} * ${number(strides.at(-1)!)}`})`,
      strides.at(-1)!,
    )
  const scale = (at: string): string => factors!.load(`(column * ${number(scaleRow)} + ${at} * ${number(scaleStep)})`)
  const { statements, dots } = decodeWord(problem, 'index', number)
  const body = [
    `let block = ${index};`,
    `let lane = i32(local) % ${threads};`,
    `let ownColumn = (block % ${number(groupsN)}) * ${perGroup} + i32(local) / ${threads};`,
    // Invocations without a column work on the last one; their results are not stored.
    `let column = min(ownColumn, ${number(columns)} - 1);`,
    `let firstRow = block / ${number(groupsN)} * ${together};`,
    ...each.flatMap((i) => [
      `let row${i} = min(firstRow + ${i}, ${number(rows)} - 1);`,
      ...positionsOf(`row${i}`, axes, [`xRow${i}`], number),
      `var sum${i} = 0.0f;`,
    ]),
    `for (var index = lane; index < ${number(count)}; index += ${threads}) {`,
    ...indented([
      `let word = ${words(`(column * ${number(count)} + index)`)};`,
      ...statements,
      ...(perRow ? [] : [`let scale = ${scale(`(first / ${number(block)})`)};`]),
      ...each.map((i) => {
        const dot = dots.map(({ numbers, at }) => `dot(${numbers}, ${quad(i, at)})`).join(' + ')
        return perRow ? `sum${i} += ${dot};` : `sum${i} += scale * (${dot});`
      }),
    ]),
    '}',
    ...combineParts(
      each.map((i) => ({ name: `sum${i}`, type: 'f32', combine: (a, b) => `${a} + ${b}` })),
      shader,
      { threads, workgroupSize, subgroup },
    ),
    `if (lane == 0 && ownColumn < ${number(columns)}) {`,
    ...indented([
      ...(perRow ? [`let scale = ${scale('0')};`] : []),
      `let sums = array<f32, ${together}>(${each.map((i) => `sum${i}`).join(', ')});`,
      `for (var i = 0; i < ${together} && firstRow + i < ${number(rows)}; i++) {`,
      `  finish(0, firstRow + i, column, sums[i]${perRow ? ' * scale' : ''});`,
      '}',
    ]),
    '}',
  ]
  return { dispatches: [shader.dispatch({ name: `${bits}-bit vectors`, body, workgroupSize, workgroups, subgroup })] }
}

/** Invocations that share a row of so many words: each has at least four. */
function threadsFor(words: number): number {
  let threads = 1
  while (threads < 32 && 8 * threads <= words) threads *= 2
  return threads
}
