import {
  attention,
  createRuntime,
  jit,
  type Plugin,
  referencePlugin,
  type Tensor,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { assertClose, createRandom } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from '../../testing/adapters.ts'
import { cardKernels } from '../../testing/card.ts'
import { attentionBackwardKernel, attentionKernel } from './attention.ts'

interface Sizes {
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly valueWidth: number
  readonly causal: boolean
  /** Heads lie inside the rows, as a projection gives them. */
  readonly sideBySide?: boolean
  readonly position?: number
}

const cases: readonly Sizes[] = [
  { queries: 5, keys: 7, width: 8, valueWidth: 12, causal: false },
  { queries: 66, keys: 70, width: 8, valueWidth: 4, causal: true },
  { queries: 9, keys: 12, width: 8, valueWidth: 8, causal: true, sideBySide: true, position: 3 },
  { queries: 1, keys: 9, width: 8, valueWidth: 8, causal: true, position: 4 },
]
const heads = 3

/** Values and gradients of attention, and the kernels that computed them. */
async function attend(plugin: Plugin, sizes: Sizes, isForced: boolean) {
  const { queries, keys, width, valueWidth, causal, sideBySide, position } = sizes
  const force = { attention: 'webgpu-attention', attentionBackward: 'webgpu-attention-backward' }
  const runtime = await createRuntime({ use: [plugin], ...(isForced && { force }) })
  const random = createRandom(queries * 100 + keys)
  const filled = (shape: readonly number[]): Tensor =>
    tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.uniform(-2, 2)),
      shape,
    )
  const shape = (rows: number, columns: number) => (sideBySide ? [2, rows, heads, columns] : [2, heads, rows, columns])
  const turned = (x: Tensor): Tensor => (sideBySide ? x.transpose([0, 2, 1, 3]) : x)
  const inputs = {
    query: filled(shape(queries, width)),
    key: filled(shape(keys, width)),
    value: filled(shape(keys, valueWidth)),
  }
  const weights = filled([2, heads, queries, valueWidth])
  const offset = position === undefined ? {} : { offset: tensor(position, [], 'i32') }
  const program = jit((tree: typeof inputs) => {
    const { value, gradients } = valueAndGrad(tree, ({ query, key, value }) =>
      attention(turned(query), turned(key), turned(value), { causal, ...offset })
        .multiply(weights)
        .sum(),
    )
    return [value, gradients.query, gradients.key, gradients.value]
  })
  const results = program(inputs)
  const explained = program.explain()
  const data = []
  for (const result of results) data.push(await result.data())
  await runtime.close()
  return { data, explained }
}

const { plugin, isExpected } = softwareAdapters[0]!
/** More quads in a row than one tile, or two, have. */
const wide: Sizes = { queries: 37, keys: 65, width: 36, valueWidth: 68, causal: false }
const [forward, backward] = cardKernels([attentionKernel, attentionBackwardKernel])
const others = plugin.kernels!.filter(({ op }) => op !== 'attention' && op !== 'attentionBackward')
const variants: readonly { name: string; plugin: Plugin; cases: readonly Sizes[] }[] = [
  { name: 'by rows, on the processor', plugin, cases },
  {
    name: 'by tiles, on graphics cards',
    plugin: { ...plugin, kernels: [...others, forward!, backward!] },
    // The others compile for seconds, and differ in numbers only.
    cases: [cases[1]!, cases[2]!, wide],
  },
]

// Shaders with barriers compile for seconds on SwiftShader, and much longer on a busy machine.
describe.runIf(isExpected).each(variants)('attention kernels $name', ({ plugin, cases }) => {
  it.each(cases)(
    'agree with the definition: %o',
    async (sizes) => {
      const actual = await attend(plugin, sizes, true)
      const expected = await attend(referencePlugin, sizes, false)
      expect(actual.explained).toMatch(/webgpu-attention /)
      expect(actual.explained).toMatch(/webgpu-attention-backward/)
      const names = ['sum', 'gradient of the query', 'of the key', 'of the value']
      actual.data.forEach((values, i) => {
        assertClose(values, expected.data[i]!, { relative: 3e-5, absolute: 3e-5 }, names[i]!)
      })
    },
    240_000,
  )
})
