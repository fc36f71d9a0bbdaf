import { sizeOf, type Tensor, TesseraError, type TypedArray, tensor } from '@tessera/core'

/** Numbers with a shape that no device has seen yet: what readers give, workers pass on and batches are made of. */
export interface HostTensor<Data extends TypedArray = TypedArray> {
  /** Row-major. */
  readonly data: Data
  readonly shape: readonly number[]
}

/**
 * An example, or a batch of them, whose leaves are host tensors. Examples are records and arrays of host tensors, typed arrays (which count as
 * vectors) and numbers (f32).
 */
export type OnHost<Item> = Item extends HostTensor
  ? HostTensor
  : Item extends TypedArray | number
    ? HostTensor
    : { readonly [Key in keyof Item]: OnHost<Item[Key]> }

/** The same with tensors as leaves. */
export type OnDevice<Item> = Item extends HostTensor | TypedArray | number
  ? Tensor
  : { [Key in keyof Item]: OnDevice<Item[Key]> }

export function isHostTensor(value: unknown): value is HostTensor {
  const { data, shape } = (value ?? {}) as Partial<HostTensor>
  return ArrayBuffer.isView(data) && Array.isArray(shape)
}

/**
 * One batch of examples of the same structure: each leaf gets an axis in front.
 *
 * @throws TesseraError when structures, shapes or number formats differ
 * @example
 * ```ts
 * import { stackExamples } from '@tessera/nn/data'
 * const batch = stackExamples([{ x: [1, 2], y: Int32Array.of(7) }, { x: [3, 4], y: Int32Array.of(8) }])
 * console.log(batch.x[0]?.data, batch.y.shape) // [1, 3], [2, 1]
 * ```
 */
export function stackExamples<Item>(examples: readonly Item[]): OnHost<Item> {
  if (examples.length === 0)
    throw new TesseraError('DATA_EXAMPLES', 'stackExamples: takes at least one example, got none.')
  return stackAt(examples, 'the example') as OnHost<Item>
}

function stackAt(values: readonly unknown[], place: string): unknown {
  const [first] = values
  const leaf = leafOf(first)
  if (leaf) return stackLeaves(values, leaf, place)
  if (typeof first !== 'object' || first === null) {
    throw new TesseraError(
      'DATA_EXAMPLES',
      `stackExamples: ${place} is ${first === null ? 'null' : typeof first}. Leaves are numbers, typed arrays and host tensors.`,
    )
  }
  const names = Object.keys(first)
  for (const value of values) {
    const others = typeof value === 'object' && value !== null ? Object.keys(value) : []
    if (others.join() !== names.join()) {
      throw new TesseraError(
        'DATA_EXAMPLES',
        `stackExamples: ${place} has [${names.join(', ')}] once and [${others.join(', ')}] another time. Give all examples one structure.`,
      )
    }
  }
  const entries = names.map((name) => [
    name,
    stackAt(
      values.map((value) => (value as Record<string, unknown>)[name]),
      `${place}.${name}`,
    ),
  ])
  return Array.isArray(first) ? entries.map(([, value]) => value) : Object.fromEntries(entries)
}

function leafOf(value: unknown): HostTensor | undefined {
  if (typeof value === 'number') return { data: Float32Array.of(value), shape: [] }
  if (ArrayBuffer.isView(value)) return { data: value as TypedArray, shape: [(value as TypedArray).length] }
  return isHostTensor(value) ? value : undefined
}

function stackLeaves(values: readonly unknown[], first: HostTensor, place: string): HostTensor {
  const size = sizeOf(first.shape)
  const data = new (first.data.constructor as new (length: number) => TypedArray)(size * values.length)
  values.forEach((value, i) => {
    const leaf = leafOf(value)
    if (
      leaf?.shape.join() !== first.shape.join() ||
      leaf.data.constructor !== first.data.constructor ||
      leaf.data.length !== size
    ) {
      const found = leaf
        ? `${leaf.data.constructor.name}[${leaf.shape.join(', ')}] of ${leaf.data.length} elements`
        : typeof value
      throw new TesseraError(
        'DATA_EXAMPLES',
        `stackExamples: ${place} is ${first.data.constructor.name}[${first.shape.join(', ')}] once and ${found} another time. ` +
          'Give all examples one shape and number format, for example by cropping or padding.',
      )
    }
    data.set(leaf.data, i * size)
  })
  return { data, shape: [values.length, ...first.shape] }
}

/**
 * Puts the host tensors of a tree into tensors. A typed array is a vector, a number an f32 scalar.
 *
 * @example
 * ```ts
 * import { toTensors } from '@tessera/nn/data'
 * const { x } = toTensors({ x: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } })
 * console.log(x.shape) // [2, 2]
 * ```
 */
export function toTensors<Item>(item: Item): OnDevice<Item> {
  const leaf = leafOf(item)
  if (leaf) return tensor(leaf.data, leaf.shape) as OnDevice<Item>
  if (Array.isArray(item)) return item.map(toTensors) as unknown as OnDevice<Item>
  if (typeof item !== 'object' || item === null) return item as OnDevice<Item>
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, toTensors(value)])) as OnDevice<Item>
}
