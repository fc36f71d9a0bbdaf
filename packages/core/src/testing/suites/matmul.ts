import type { DType } from '../../graph/format.ts'
import type { Shape } from '../../graph/shape.ts'
import { broadcastView, permuteView, sliceView, type View } from '../../graph/view.ts'
import type { Operand } from '../../schedule/program.ts'
import { accumulated, type SuiteContext } from '../context.ts'
import { ProgramBuilder, withView } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'

const normals = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal())

/** M, K and N: single, odd, empty, a tile, beyond tiles, and long in one direction. */
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 17, 1],
  [3, 5, 7],
  [2, 1, 3],
  [16, 16, 16],
  [17, 33, 9],
  [64, 64, 64],
  [65, 129, 33],
  [1, 200, 70],
  [70, 200, 1],
  [130, 7, 259],
  [5, 600, 6],
  // Enough work for kernels that prepare an operand for all threads, and more depth than they take at a time.
  [70, 600, 45],
]
const emptySizes: readonly (readonly [number, number, number])[] = [
  [0, 3, 4],
  [3, 4, 0],
  [3, 0, 4],
  [0, 0, 0],
]

const transposed = (operand: Operand): Operand =>
  withView(operand, (view) =>
    permuteView(view, [...view.shape.keys()].slice(0, -2).concat(view.shape.length - 1, view.shape.length - 2)),
  )

/** Products of two matrices in every layout. */
export function matmulSuite(context: SuiteContext): void {
  context.describe('matmul', () => {
    for (const [m, k, n] of [...sizes, ...emptySizes]) {
      context.it(`${m} × ${k} × ${n}, either operand as it is or transposed`, async (random) => {
        const builder = new ProgramBuilder()
        const inputs = [false, true].flatMap((flipA) =>
          [false, true].flatMap((flipB) => {
            const a = flipA ? transposed(builder.input('f32', [k, m])) : builder.input('f32', [m, k])
            const b = flipB ? transposed(builder.input('f32', [n, k])) : builder.input('f32', [k, n])
            builder.call('matmul', {}, [a, b], [builder.output('f32', [m, n])])
            return [normals(random, m * k), normals(random, k * n)]
          }),
        )
        await context.check('matmul', builder, inputs, accumulated(1, Math.sqrt(k)))
      })
    }

    for (const batch of [[3], [2, 3], [1], [0]] as Shape[]) {
      context.it(`batches of [${batch.join(', ')}]`, async (random) => {
        const count = batch.reduce((product, extent) => product * extent, 1)
        const builder = new ProgramBuilder()
        const [a, b] = [builder.input('f32', [...batch, 9, 17]), transposed(builder.input('f32', [...batch, 21, 17]))]
        builder.call('matmul', {}, [a, b], [builder.output('f32', [...batch, 9, 21])])
        await context.check(
          'batches',
          builder,
          [normals(random, count * 153), normals(random, count * 357)],
          accumulated(1, 4),
        )
      })
    }

    context.it('one matrix for all batches, on either side', async (random) => {
      const builder = new ProgramBuilder()
      const repeat = (operand: Operand, batch: Shape): Operand =>
        withView(operand, (view) => broadcastView(view, [...batch, ...view.shape.slice(-2)]))
      const [many, one] = [builder.input('f32', [2, 3, 9, 17]), builder.input('f32', [1, 1, 17, 21])]
      builder.call('matmul', {}, [many, repeat(one, [2, 3])], [builder.output('f32', [2, 3, 9, 21])])
      builder.call(
        'matmul',
        {},
        [repeat(transposed(one), [2, 3]), transposed(many)],
        [builder.output('f32', [2, 3, 21, 9])],
      )
      // Repeated along one batch axis only.
      const half = builder.input('f32', [2, 1, 17, 5])
      builder.call('matmul', {}, [many, repeat(half, [2, 3])], [builder.output('f32', [2, 3, 9, 5])])
      await context.check(
        'repeated',
        builder,
        [normals(random, 918), normals(random, 357), normals(random, 170)],
        accumulated(1, 4),
      )
    })

    context.it('heads that lie side by side: batches inside the rows', async (random) => {
      const builder = new ProgramBuilder()
      const [batch, time, heads, size] = [2, 19, 3, 8]
      const inside = (offset: number): View => ({
        shape: [batch, heads, time, size],
        strides: [time * 3 * heads * size, size, 3 * heads * size, 1],
        offset,
      })
      const all = builder.input('f32', [batch, time, 3 * heads * size])
      const [queries, keys] = [
        { ...all, view: inside(0) },
        { ...all, view: inside(heads * size) },
      ]
      const scores = builder.output('f32', [batch, heads, time, time])
      builder.call('matmul', {}, [queries, transposed(keys)], [scores])
      // The result goes back side by side.
      const mixed = builder.output('f32', [batch, time, heads, size])
      builder.call(
        'matmul',
        {},
        [scores, { ...all, view: inside(2 * heads * size) }],
        [withView(mixed, (view) => permuteView(view, [0, 2, 1, 3]))],
      )
      // The second product multiplies values of size √8 again.
      await context.check('heads', builder, [normals(random, batch * time * 3 * heads * size)], accumulated(4, 12))
    })

    context.it('operands and results inside larger matrices, at odd offsets', async (random) => {
      const builder = new ProgramBuilder()
      const inner = (operand: Operand, start: readonly number[], shape: Shape): Operand =>
        withView(operand, (view) => sliceView(view, start, shape, [1, 1]))
      const [a, b, c] = [
        builder.input('f32', [20, 31]),
        builder.input('f32', [40, 37]),
        builder.output('f32', [25, 41]),
      ]
      builder.call('matmul', {}, [inner(a, [1, 3], [18, 27]), inner(b, [5, 1], [27, 35])], [inner(c, [2, 5], [18, 35])])
      await context.check('inside', builder, [normals(random, 620), normals(random, 1480)], accumulated(1, 6))
    })

    context.it('transposed results, reversed operands, repeated rows', async (random) => {
      const builder = new ProgramBuilder()
      const [a, b] = [builder.input('f32', [9, 17]), builder.input('f32', [17, 13])]
      builder.call('matmul', {}, [a, b], [transposed(builder.output('f32', [13, 9]))])
      const reversed = withView(a, (view) => sliceView(view, [8, 16], [9, 17], [-1, -1]))
      builder.call('matmul', {}, [reversed, b], [builder.output('f32', [9, 13])])
      const row = builder.input('f32', [1, 17])
      builder.call(
        'matmul',
        {},
        [withView(row, (view) => broadcastView(view, [6, 17])), b],
        [builder.output('f32', [6, 13])],
      )
      await context.check(
        'views',
        builder,
        [normals(random, 153), normals(random, 221), normals(random, 17)],
        accumulated(1, 5),
      )
    })

    context.it('one row or one column repeated, on either side', async (random) => {
      const builder = new ProgramBuilder()
      const inputs: Float32Array[] = []
      const given = (shape: Shape, whole: Shape): Operand => {
        inputs.push(normals(random, shape[0]! * shape[1]!))
        return withView(builder.input('f32', shape), (view) => broadcastView(view, whole))
      }
      for (const [m, k, n] of [
        [1, 5, 1],
        [7, 9, 3],
        [33, 300, 21],
      ] as const) {
        const [left, right]: [Shape, Shape] = [
          [m, k],
          [k, n],
        ]
        for (const [a, b] of [
          [left, [1, n]],
          [left, [k, 1]],
          [[1, k], right],
          [[m, 1], right],
        ] as const)
          builder.call('matmul', {}, [given(a, left), given(b, right)], [builder.output('f32', [m, n])])
      }
      await context.check('repeated', builder, inputs, accumulated(1, 18))
    })

    const takes = (name: DType) => context.formats.includes(name) && context.products.includes(name)
    for (const dtype of (['f16', 'bf16', 'f64'] as const).filter(takes)) {
      context.it(`matrices of ${dtype}`, async (random) => {
        const builder = new ProgramBuilder()
        const [a, b] = [builder.input(dtype, [17, 33]), builder.input(dtype, [33, 9])]
        builder.call('matmul', {}, [a, b], [builder.output(dtype, [17, 9])])
        await context.check(
          dtype,
          builder,
          [randomStorage(random, dtype, 561), randomStorage(random, dtype, 297)],
          accumulated(2, 6),
        )
      })
    }

    if (!context.nonFinite) return
    context.it('NaN and infinities in their row and column, also times zero', async () => {
      const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
      const builder = new ProgramBuilder()
      const [a, b] = [builder.input('f32', [3, 2]), builder.input('f32', [2, 3])]
      builder.call('matmul', {}, [a, b], [builder.output('f32', [3, 3])])
      const inputs = [toStorage('f32', [1, 2, nan, 1, 0, 1]), toStorage('f32', [1, infinity, 2, 3, 4, -infinity])]
      await context.check('NaN', builder, inputs, accumulated())
    })
  })
}
