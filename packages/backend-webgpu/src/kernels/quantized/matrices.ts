import type { OpCall, Operand, View } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type {
  CallMemory,
  MemoryRange,
  WebGpuCallPlan,
  WebGpuDispatch,
  WebGpuEnvironment,
} from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { type AccessWish, indented, Shader } from '../../wgsl/shader.ts'
import { planRegisterTiles } from '../matmul/registers.ts'
import { TiledResult } from '../matmul/result.ts'
import { planTiles } from '../matmul/shared.ts'
import { decodeOne, wordsOf } from './decode.ts'
import type { QuantizedProblem } from './problem.ts'

/** Many rows on a graphics card: tiles of w are decoded into workgroup memory. */
export function planDecodedTiles(
  call: OpCall,
  problem: QuantizedProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { x, values, scales, rows, columns, depth } = problem
  const shape = call.epilogue?.result.shape ?? call.outputs[0]!.view.shape
  const rowAxes = [0, shape.length - 1] as const
  const sizes = { m: rows, n: columns, k: depth, batches: 1, groups: 1, rowAxes, mayUseQuads: true }
  const wishes = [
    { operand: x, writes: false, quads: false },
    { operand: values, writes: false, quads: true },
    { operand: scales, writes: false, quads: false },
  ]
  const result = new TiledResult(call, environment, memory, sizes, wishes)
  const { shader, number } = result
  const axes = x.view.shape.slice(0, -1).map((extent, axis) => ({ extent, strides: [x.view.strides[axis]!] }))
  shader.declare(
    [
      'fn leftOf(line: i32, step: i32) -> f32 {',
      ...indented([
        ...positionsOf('line', axes, ['xRow'], number),
        `let position = xRow + step * ${number(x.view.strides.at(-1)!)};`,
        `return ${shader.access(wishes[0]!).load('position')};`,
      ]),
      '}',
    ].join('\n'),
  )
  const right = decoding(shader, problem, wishes[1]!, wishes[2]!)
  return planTiles(
    result,
    {
      left: { neighbours: 'depth', load: (line, step) => `leftOf(${line}, ${step})` },
      right: { neighbours: 'depth', load: right },
    },
    [],
    environment,
  )
}

/** Many rows on a processor: w is written out once, and multiplied as always. */
export function planWrittenOut(
  call: OpCall<'quantizedMatmul'>,
  problem: QuantizedProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { x, depth, columns } = problem
  const range = memory.scratch(4 * depth * columns)
  const batch = x.view.shape.slice(0, -2)
  const view: View = {
    ...x.view,
    shape: [...batch, depth, columns],
    strides: [...batch.map(() => 0), 1, depth],
    offset: 0,
  }
  const weights: Operand = { buffer: -1, dtype: 'f32', view }
  const { epilogue } = call
  const product = {
    op: 'matmul',
    attributes: {},
    inputs: [x, weights, ...call.inputs.slice(3)],
    outputs: call.outputs,
    ...(epilogue && { epilogue: { ...epilogue, firstInput: 2 } }),
  } as const
  const { dispatches } = planRegisterTiles(product, environment, {
    scratch: (bytes) => memory.scratch(bytes),
    constants: (words) => memory.constants(words),
    locate: (operand) => (operand === weights ? { range, firstByte: 0 } : memory.locate(operand)),
  })
  return { dispatches: [writeOut(problem, range, environment, memory), ...dispatches] }
}

function writeOut(
  problem: QuantizedProblem,
  range: MemoryRange,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuDispatch {
  const { values, scales, depth, columns } = problem
  const wishes = [
    { operand: values, writes: false, quads: true },
    { operand: scales, writes: false, quads: false },
  ]
  const shader = new Shader(environment, memory, wishes)
  const number = (value: number): string => shader.number(value)
  const target = shader.scratch(range, 'f32')
  const load = decoding(shader, problem, wishes[0]!, wishes[1]!)
  const size = depth * columns
  const { workgroups, index } = foldWorkgroups(Math.ceil(size / 64), environment.limits, number)
  const body = [
    `let point = ${index} * 64 + i32(local);`,
    `if (point >= ${number(size)}) { return; }`,
    target.store('point', load(`point / ${number(depth)}`, `point % ${number(depth)}`)),
  ]
  return shader.dispatch({ name: 'numbers', body, workgroupSize: 64, workgroups })
}

/** Declares a function that gives one number of w, and how it is called. */
function decoding(
  shader: Shader,
  problem: QuantizedProblem,
  values: AccessWish,
  scales: AccessWish,
): (line: string, step: string) => string {
  const number = (value: number): string => shader.number(value)
  const word = shader.words(values)
  const row = `line * ${number(wordsOf(problem))}`
  const [scaleRow, scaleStep] = problem.scales.view.strides as [number, number]
  const scale = shader
    .access(scales)
    .load(`(line * ${number(scaleRow)} + step / ${number(problem.block)} * ${number(scaleStep)})`)
  const declare = (name: string, body: readonly string[]): void =>
    shader.declare([`fn ${name}(line: i32, step: i32) -> f32 {`, ...indented(body), '}'].join('\n'))
  declare(
    'codeOf',
    decodeOne(problem, (at) => word(`(${row} + ${at})`), number),
  )
  declare('numberOf', [`return codeOf(line, step) * ${scale};`])
  return (line, step) => `numberOf(${line}, ${step})`
}
