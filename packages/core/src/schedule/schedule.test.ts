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
import { type Schedule, schedule } from './schedule.ts'

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
): Schedule {
  const graph = simplify(normalize(simplify(lower({ outputs }, hasKernel))))
  const inputs = topologicalOrder(graph.outputs).filter((node) => node.op === 'leaf')
  return schedule(graph, {
    inputs,
    donors: donors.map((donor) => (donor ? inputs.indexOf(donor as Node<'leaf'>) : undefined)),
    limits,
    layouts: ({ op }) =>
      op === 'matmul' ? 'any' : op === 'attention' || op === 'attentionBackward' ? 'rows' : undefined,
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
