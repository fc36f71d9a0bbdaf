import type { Kernel } from '../plugin/contract.ts'
import type { KernelTestCall } from './test-kernel.ts'

/** Loops in float64: what `testKernel` compares kernels of `quantizedMatmul` with. Values and scales are row-major. */
export const quantizedMatmulReference: Kernel<'quantizedMatmul', 'reference'> = {
  name: 'testing/quantized-matmul',
  op: 'quantizedMatmul',
  backend: 'reference',
  tolerance: 1e-7,
  layouts: 'any',
  cost: () => 1,
  build:
    ({ attributes: { bits, block }, inputs: [x, values, scales], outputs: [y] }) =>
    ([xs, codes, factors], [target]) => {
      const [k, n] = [x!.view.shape.at(-1)!, y!.view.shape.at(-1)!]
      const [rowsX, rowsY] = [x!, y!].map(({ view: { shape, strides, offset } }) => {
        let rows = [offset]
        for (let axis = 0; axis < shape.length - 1; axis++)
          rows = rows.flatMap((row) => Array.from({ length: shape[axis]! }, (_, i) => row + i * strides[axis]!))
        return rows
      }) as [number[], number[]]
      const at = ({ view: { strides, offset } }: NonNullable<typeof values>, row: number, column: number) =>
        offset + row * strides[0]! + column * strides[1]!
      const weight = (row: number, column: number): number => {
        const [index, within] = [Math.floor(column / block), column % block]
        const scale = factors![at(scales!, row, index)]!
        if (bits === 8) return scale * codes![at(values!, row, column)]!
        const byte = codes![at(values!, row, (index * block) / 2 + (within % (block / 2)))]!
        return scale * ((within < block / 2 ? byte & 15 : byte >> 4) - 8)
      }
      rowsX.forEach((row, i) => {
        for (let j = 0; j < n; j++) {
          let sum = 0
          for (let p = 0; p < k; p++) sum += xs![row + p * x!.view.strides.at(-1)!]! * weight(j, p)
          target![rowsY[i]! + j * y!.view.strides.at(-1)!] = sum
        }
      })
    },
}

/** A call with random operands: `x [...rows, k]` and a matrix of `n` rows. */
export const quantizedMatmulCall = (
  rows: readonly number[],
  n: number,
  k: number,
  bits: 8 | 4,
  block: number,
): KernelTestCall => ({
  name: `[${rows.join(', ')}, ${k}] × ${n}, ${bits} bits in blocks of ${block}`,
  scale: 100 * Math.sqrt(k),
  write: (program, random) => {
    const values = program.input(bits === 8 ? 'i8' : 'u8', [n, (k * bits) / 8])
    const [x, scales] = [program.input('f32', [...rows, k]), program.input('f32', [n, k / block])]
    program.call('quantizedMatmul', { bits, block }, [x, values, scales], [program.output('f32', [...rows, n])])
    const codes = Array.from({ length: (n * k * bits) / 8 }, () => Math.floor(random.uniform(0, 256)))
    const count = rows.reduce((product, extent) => product * extent, 1)
    return [
      bits === 8 ? Int8Array.from(codes) : Uint8Array.from(codes),
      Float32Array.from({ length: count * k }, () => random.normal()),
      Float32Array.from({ length: (n * k) / block }, () => random.normal()),
    ]
  },
})
