import type { TypedArray, View } from '@tessera/core'

/** Matrix products in big integers, of which the low 32 bits are kept: views of a, b and c, then their contents. */
export function exactProducts(
  [a, b, c]: readonly [View, View, View],
  left: TypedArray | Float64Array,
  right: TypedArray | Float64Array,
  target: TypedArray | Float64Array,
): void {
  const [rows, columns] = c.shape.slice(-2) as [number, number]
  const inner = a.shape.at(-1)!
  const bases = ({ shape, strides, offset }: View) => {
    let offsets = [offset]
    for (let axis = 0; axis < shape.length - 2; axis++)
      offsets = offsets.flatMap((base) => Array.from({ length: shape[axis]! }, (_, i) => base + i * strides[axis]!))
    return offsets
  }
  const [ofA, ofB] = [bases(a), bases(b)]
  const at = ({ strides }: View, base: number, row: number, column: number) =>
    base + row * strides.at(-2)! + column * strides.at(-1)!
  bases(c).forEach((base, batch) => {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0n
        for (let k = 0; k < inner; k++)
          sum += BigInt(left[at(a, ofA[batch]!, i, k)]!) * BigInt(right[at(b, ofB[batch]!, k, j)]!)
        target[at(c, base, i, j)] = Number(BigInt.asIntN(32, sum))
      }
    }
  })
}
