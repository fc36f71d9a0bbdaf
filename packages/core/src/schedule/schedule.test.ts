import { describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradient.ts'
import { describeCall } from '../debug/explain.ts'
import * as build from '../graph/build.ts'
import { attention as attentionOp } from '../graph/compounds/attention.ts'
import { gelu as geluOp } from '../graph/compounds/gelu.ts'
import { layerNorm as layerNormOp } from '../graph/compounds/layer-norm.ts'
import { softmax as softmaxOp } from '../graph/compounds/softmax.ts'
import { createNode, type Node, topologicalOrder } from '../graph/node.ts'
import { lower } from '../passes/lower.ts'
import { normalize } from '../passes/normalize.ts'
import { simplify } from '../passes/simplify.ts'
import type { OpCall } from './program.ts'
import { type Schedule, type ScheduleOptions, schedule } from './schedule.ts'

const limits = {
  gigaflops: 1,
  gigabytesPerSecond: 1,
  microsecondsPerCall: 1,
  alignment: 64,
  maximumBufferBytes: 2 ** 31,
  maximumOperands: 16,
}

function scheduled(
  outputs: readonly Node[],
  donors: readonly (Node | undefined)[] = [],
  hasKernel: (node: Node) => boolean = () => false,
  estimate?: ScheduleOptions['estimate'],
): Schedule {
  const graph = simplify(normalize(simplify(lower({ outputs }, hasKernel))))
  const inputs = topologicalOrder(graph.outputs).filter((node) => node.op === 'leaf')
  return schedule(graph, {
    inputs,
    donors: donors.map((donor) => (donor ? inputs.indexOf(donor as Node<'leaf'>) : undefined)),
    limits,
    layouts: ({ op }) =>
      op === 'matmul' ? 'any' : op === 'attention' || op === 'attentionBackward' ? 'rows' : undefined,
    ...(estimate && { estimate }),
  })
}

const calls = (result: Schedule) => result.program.calls.map(describeCall)
const softmax = (x: Node) => createNode(softmaxOp, [x], {})
const layerNorm = (x: Node, gain: Node) => createNode(layerNormOp, [x, gain], { epsilon: 1e-5, affine: 'gain' })
const gelu = (x: Node) => createNode(geluOp, [x], { approximation: 'tanh' })

describe('schedule', () => {
  it('computes a softmax in one pass over memory', () => {
    expect(calls(scheduled([softmax(build.leaf([4, 5, 6], 'f32'))]))).toEqual([
      'row [20, 6] 1 in, 1 out (f32): reduceMaximum subtract exp reduceSum reciprocal multiply',
    ])
  })

  it('joins elementwise ops across reshapes, and axes that are walked in one stride', () => {
    const x = build.leaf([4, 6], 'f32')
    const y = build.exp(build.reshape(build.add(x, 1), [2, 2, 6]))
    expect(calls(scheduled([build.multiply(y, build.reshape(x, [2, 2, 6]))]))).toEqual([
      'map [24] 1 in, 1 out (f32): add exp multiply',
    ])
  })

  it('reads transposes and broadcasts where they lie', () => {
    const x = build.leaf([4, 6], 'f32')
    const bias = build.leaf([4], 'f32')
    expect(calls(scheduled([build.add(build.permute(x, [1, 0]), bias)]))).toEqual(['map [6, 4] 2 in, 1 out (f32): add'])
  })

  it('computes masks inside the loops that use them', () => {
    const scores = build.leaf([3, 5, 5], 'f32')
    const mask = build.binary('lessEqual', build.axisIndex([5, 5], 1), build.axisIndex([5, 5], 0))
    expect(calls(scheduled([softmax(build.where(mask, scores, Number.NEGATIVE_INFINITY))]))).toHaveLength(1)
  })

  it('puts a sum over leading axes into one column loop with what only it needs', () => {
    const x = build.leaf([3, 4, 5], 'f32')
    expect(calls(scheduled([build.sum(build.square(x), [0, 1])]))).toEqual([
      'column [12, 5] 1 in, 1 out (f32): multiply reduceSum',
    ])
  })

  it('recomputes activations in the backward pass instead of storing them', () => {
    const x = build.leaf([8, 16], 'f32')
    const first = build.matmul(x, build.leaf([16, 32], 'f32'))
    const second = build.leaf([32, 16], 'f32')
    const loss = build.sum(build.matmul(gelu(first), second))
    const [gradient] = gradients([loss], [build.onesLike(loss)], [x])
    const maps = calls(scheduled([gradient!])).filter((call) => call.startsWith('map [256]'))
    // Forward is not needed for this gradient; backward reads the pre-activation and the gradient, and writes one value.
    expect(maps).toHaveLength(1)
    expect(maps[0]).toMatch(/2 in, 1 out/)
  })

  it('writes a product straight into the order of axes in which it is used', () => {
    const q = build.leaf([2, 4, 6, 8], 'f32')
    const heads = build.matmul(q, build.transposeLast(build.leaf([2, 4, 6, 8], 'f32')))
    const merged = build.reshape(build.permute(heads, [0, 2, 1, 3]), [12, 24])
    expect(calls(scheduled([merged]))).toEqual(['matmul f32[2, 4, 6, 8] f32[2, 4, 8, 6]* → f32[2, 4, 6, 6]*'])
  })

  it('writes the parts of a concatenation where they belong', () => {
    const a = build.leaf([2, 3], 'f32')
    const b = build.leaf([2, 3], 'f32')
    const result = scheduled([build.concatenate([build.exp(a), build.tanh(b)], 1)])
    expect(calls(result)).toEqual(['map [2, 3] 1 in, 1 out (f32): exp', 'map [2, 3] 1 in, 1 out (f32): tanh'])
    expect(result.program.arenaBytes).toBe(0)
  })

  it('does not merge two loops around something that stands between them', () => {
    const x = build.leaf([4, 4], 'f32')
    const y = build.exp(x)
    expect(calls(scheduled([build.add(y, build.matmul(y, y))]))).toEqual([
      'map [16] 1 in, 1 out (f32): exp',
      'matmul f32[4, 4] f32[4, 4] → f32[4, 4]',
      'map [16] 2 in, 1 out (f32): add',
    ])
  })

  it('writes over a donated input when nothing reads it afterwards', () => {
    const weights = build.leaf([16], 'f32')
    const gradient = build.leaf([16], 'f32')
    const updated = build.subtract(weights, gradient)
    expect(
      scheduled([updated], [weights]).program.buffers.filter(({ donatedFrom }) => donatedFrom !== undefined),
    ).toHaveLength(1)
    // The sum of neighbours reads elements that have been written over already.
    const shifted = build.add(weights, build.slice(weights, [15], [16], [-1]))
    expect(scheduled([shifted], [weights]).program.buffers.every(({ donatedFrom }) => donatedFrom === undefined)).toBe(
      true,
    )
  })

  it('keeps to the largest number of operands of a call', () => {
    const sum = Array.from({ length: 40 }, () => build.leaf([8], 'f32') as Node).reduce((total, leaf) =>
      build.add(total, leaf),
    )
    const { program } = scheduled([sum])
    expect(program.calls.length).toBeGreaterThan(1)
    for (const call of program.calls)
      expect(call.inputs.length + call.outputs.length).toBeLessThanOrEqual(limits.maximumOperands)
  })

  it('fuses layer norm, backward, into one row loop and one column loop', () => {
    const x = build.leaf([10, 8], 'f32')
    const gain = build.leaf([8], 'f32')
    const y = layerNorm(x, gain)
    const found = gradients([y], [build.leaf([10, 8], 'f32')], [x, gain])
    expect(calls(scheduled([y, ...(found as Node[])])).map((call) => call.split(' ')[0])).toEqual(['row', 'column'])
  })

  it('computes a product once that is wanted transposed and as it is, and a transposed one as it is wanted', () => {
    const [a, b] = [build.leaf([4, 6], 'f32'), build.leaf([6, 5], 'f32')]
    const product = build.matmul(a, b)
    const isTransposed = 'matmul f32[5, 6]* f32[6, 4]* → f32[5, 4]'
    expect(calls(scheduled([build.transposeLast(product)]))).toEqual([isTransposed])
    const both = calls(scheduled([product, build.transposeLast(product)]))
    expect(both.filter((call) => call.startsWith('matmul'))).toHaveLength(1)
    // Through another movement as well.
    const moved = build.transposeLast(build.reshape(build.reshape(product, [2, 2, 5]), [4, 5]))
    const read = calls(scheduled([build.exp(moved), build.reduce('reduceSum', product, [1])]))
    expect(read.filter((call) => call.startsWith('matmul'))).toHaveLength(1)
  })

  it('reuses memory of values that are not needed any more', () => {
    let x: Node = build.leaf([64, 64], 'f32')
    for (let i = 0; i < 10; i++) x = build.matmul(x, x)
    const { program, liveBytes } = scheduled([x])
    expect(program.arenaBytes).toBe(2 * 64 * 64 * 4)
    expect(liveBytes).toBe(program.arenaBytes)
  })

  it('lets a kernel of strided operands read and write parts of one product, forward and backward', () => {
    const [batch, time, heads, width] = [2, 6, 4, 8]
    const x = build.leaf([batch * time, 3], 'f32')
    const product = build.matmul(x, build.leaf([3, 3 * heads * width], 'f32'))
    const parts = build.permute(build.reshape(product, [batch, time, 3, heads, width]), [2, 0, 3, 1, 4])
    const [query, key, value] = [0, 1, 2].map((i) =>
      build.reshape(build.slice(parts, [i, 0, 0, 0, 0], [1, batch, heads, time, width]), [batch, heads, time, width]),
    ) as [Node, Node, Node]
    const attended = createNode(attentionOp, [query, key, value], { causal: true, scale: 1, offset: false })
    const merged = build.reshape(build.permute(build.outputOf(attended, 0), [0, 2, 1, 3]), [
      batch * time,
      heads * width,
    ])
    const out = build.leaf([heads * width, 5], 'f32')
    const found = gradients([build.matmul(merged, out)], [build.leaf([batch * time, 5], 'f32')], [x, out])
    const takes = ({ op }: Node) => op === 'attention' || op === 'attentionBackward'
    const head = 'f32[2, 4, 6, 8]*'
    expect(calls(scheduled(found as Node[], [], takes))).toEqual([
      'matmul f32[12, 3] f32[3, 96] → f32[12, 96]',
      `attention ${head} ${head} ${head} → ${head} f32[2, 4, 6]`,
      'matmul f32[12, 5] f32[5, 32]* → f32[12, 32]',
      'matmul f32[32, 12]* f32[12, 5] → f32[32, 5]',
      'row [2, 4, 6, 8] 2 in, 1 out (f32): multiply reduceSum',
      `attentionBackward ${head} ${head} ${head} f32[2, 4, 6] f32[2, 4, 6] ${head} → ${head} ${head} ${head}`,
      'matmul f32[12, 96] f32[96, 3]* → f32[12, 3]',
    ])
  })
})

describe('epilogues', () => {
  const x = () => build.leaf([4, 6], 'f32')
  const w = () => build.leaf([6, 8], 'f32')
  /** Every call takes one microsecond. */
  const always = () => 1
  const merged = (
    outputs: readonly Node[],
    donors?: readonly (Node | undefined)[],
    estimate = always as () => number,
  ) => scheduled(outputs, donors, undefined, estimate)

  it('follow the call that they read: bias, activation, residual', () => {
    const product = build.reshape(build.matmul(x(), w()), [2, 2, 8])
    const active = gelu(build.add(product, build.leaf([8], 'f32')))
    const result = merged([build.add(active, build.leaf([2, 2, 8], 'f32'))])
    expect(calls(result)).toEqual([
      'matmul f32[4, 6] f32[6, 8] f32[4, 8]* f32[4, 8] → f32[4, 8], then add multiply multiply add multiply … 10 ops',
    ])
    const { epilogue, inputs } = result.program.calls[0]!
    expect(epilogue).toMatchObject({ firstInput: 2, result: { shape: [4, 8], dtype: 'f32' } })
    expect(inputs[2]!.view.strides).toEqual([0, 1])
    expect(result.program.arenaBytes).toBe(0)
  })

  it('store the result of the op as well where another call reads it', () => {
    const product = build.matmul(x(), w())
    const active = gelu(product)
    const again = build.matmul(product, build.permute(active, [1, 0]))
    expect(calls(merged([active, again]))[0]).toMatch(/^matmul .* → f32\[4, 8\] f32\[4, 8\], then/)
  })

  it('normalise rows', () => {
    const sum = build.add(build.matmul(x(), w()), build.leaf([4, 8], 'f32'))
    const normal = layerNorm(sum, build.leaf([8], 'f32'))
    const [call, ...rest] = merged([sum, normal]).program.calls
    expect(rest).toEqual([])
    expect(call!.epilogue!.body).toMatchObject({ kind: 'row', rowAxes: 1, domain: [4, 8] })
  })

  it('stay calls of their own where no kernel takes them, or two calls are estimated faster', () => {
    const outputs = [build.exp(build.matmul(x(), w()))]
    const refusing = (call: OpCall) => (call.epilogue ? undefined : 1)
    const slow = (call: OpCall) => (call.epilogue ? 3 : 1)
    for (const estimate of [refusing, slow])
      expect(merged(outputs, [], estimate as () => number).program.calls.map(({ op }) => op)).toEqual([
        'matmul',
        'fused',
      ])
  })

  it('do not take what reads the result in another order, or another part of it', () => {
    const square = build.matmul(x(), build.leaf([6, 4], 'f32'))
    const turned = build.add(square, build.slice(square, [3, 0], [4, 4], [-1, 1]))
    expect(merged([turned]).program.calls.map(({ op }) => op)).toEqual(['matmul', 'fused'])
    const half = build.exp(build.slice(build.matmul(x(), w()), [0, 2], [4, 4], [1, 1]))
    expect(merged([half]).program.calls.map(({ op }) => op)).toEqual(['matmul', 'fused'])
    // A value for each position repeats along an axis that the product does not have.
    const rows = build.reshape(build.matmul(x(), w()), [2, 2, 8])
    expect(merged([build.add(rows, build.leaf([2, 8], 'f32'))]).program.calls.map(({ op }) => op)).toEqual([
      'matmul',
      'fused',
    ])
  })

  it('wait for what they read, and for the last of several calls', () => {
    const sum = build.add(build.matmul(x(), w()), build.matmul(x(), w()))
    expect(calls(merged([sum]))).toEqual([
      'matmul f32[4, 6] f32[6, 8] → f32[4, 8]',
      'matmul f32[4, 6] f32[6, 8] f32[4, 8] → f32[4, 8], then add',
    ])
    // The norm of the gradient is known only after the product is complete.
    const gradient = build.matmul(x(), w())
    const scaled = build.multiply(gradient, build.sum(build.square(gradient), [0]))
    expect(merged([scaled]).program.calls.map(({ op }) => op)).toEqual(['matmul', 'fused', 'fused'])
  })

  it('write over a donated input that they read element by element', () => {
    const state = build.leaf([4, 8], 'f32')
    const result = merged([build.subtract(state, build.matmul(x(), w()))], [state])
    expect(result.program.buffers.filter(({ donatedFrom }) => donatedFrom !== undefined)).toHaveLength(1)
    // The product itself reads all of its operands while it writes.
    const square = build.leaf([4, 4], 'f32')
    const over = merged([build.subtract(square, build.matmul(square, build.leaf([4, 4], 'f32')))], [square])
    expect(over.program.buffers.every(({ donatedFrom }) => donatedFrom === undefined)).toBe(true)
  })
})
