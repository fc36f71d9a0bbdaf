import {
  attention,
  createRuntime,
  jit,
  type Plugin,
  randomKey,
  randomNormal,
  referencePlugin,
  splitKey,
  type Tensor,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { assertClose } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from '../../testing/adapters.ts'

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
  { queries: 9, keys: 9, width: 8, valueWidth: 8, causal: true, sideBySide: true },
  { queries: 1, keys: 9, width: 8, valueWidth: 8, causal: true, position: 4 },
]
const heads = 3

/** Values and gradients of attention, and the kernels that computed them. */
async function attend(plugin: Plugin, sizes: Sizes, isForced: boolean) {
  const { queries, keys, width, valueWidth, causal, sideBySide, position } = sizes
  const force = { attention: 'webgpu-attention', attentionBackward: 'webgpu-attention-backward' }
  const runtime = await createRuntime({ use: [plugin], ...(isForced && { force }) })
  const [q, k, v, g] = splitKey(randomKey(queries * 100 + keys), 4) as [Tensor, Tensor, Tensor, Tensor]
  const shape = (rows: number, columns: number) => (sideBySide ? [2, rows, heads, columns] : [2, heads, rows, columns])
  const turned = (x: Tensor): Tensor => (sideBySide ? x.transpose([0, 2, 1, 3]) : x)
  const inputs = {
    query: randomNormal(q, shape(queries, width)),
    key: randomNormal(k, shape(keys, width)),
    value: randomNormal(v, shape(keys, valueWidth)),
  }
  const weights = randomNormal(g, [2, heads, queries, valueWidth])
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

describe.runIf(softwareAdapters[0]!.isExpected)('attention kernels', () => {
  it.each(cases)('agree with the definition: %o', async (sizes) => {
    const actual = await attend(softwareAdapters[0]!.plugin, sizes, true)
    const expected = await attend(referencePlugin, sizes, false)
    expect(actual.explained).toMatch(/webgpu-attention /)
    expect(actual.explained).toMatch(/webgpu-attention-backward/)
    const names = ['sum', 'gradient of the query', 'of the key', 'of the value']
    actual.data.forEach((values, i) => {
      assertClose(values, expected.data[i]!, { relative: 3e-5, absolute: 3e-5 }, names[i]!)
    })
  })
})
