import type { DType, TypedArray } from '../../graph/format.ts'
import { type Shape, sizeOf } from '../../graph/shape.ts'
import { permuteView, sliceView } from '../../graph/view.ts'
import { accumulated, identical, type SuiteContext } from '../context.ts'
import { ProgramBuilder, withView } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'

const normals = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal())

/** Indices of an axis, some of them below and beyond it. */
function indices(random: Random, dtype: DType, count: number, extent: number): TypedArray {
  const lowest = dtype === 'u32' ? 0 : -3
  return toStorage(
    dtype,
    Array.from({ length: count }, () => random.integer(lowest, extent + 2)),
  )
}

/** A tensor, the axis that is indexed, and the shape of the indices. */
const cases: readonly { readonly shape: Shape; readonly axis: number; readonly by: Shape }[] = [
  { shape: [7, 5], axis: 0, by: [11] },
  { shape: [7, 5], axis: 1, by: [4] },
  { shape: [50, 33], axis: 0, by: [3, 17] },
  { shape: [9], axis: 0, by: [2, 3] },
  { shape: [9], axis: 0, by: [] },
  { shape: [1, 1], axis: 0, by: [1] },
  { shape: [3, 6, 5], axis: 1, by: [4] },
  { shape: [3, 6, 5], axis: 2, by: [2, 2] },
  { shape: [2, 3, 4, 5], axis: 2, by: [7] },
  { shape: [7, 5], axis: 0, by: [0] },
  { shape: [7, 0], axis: 0, by: [3] },
  { shape: [300, 129], axis: 0, by: [257] },
]
const picked = ({ shape, axis, by }: (typeof cases)[number]): Shape => [
  ...shape.slice(0, axis),
  ...by,
  ...shape.slice(axis + 1),
]
const describeCase = ({ shape, axis, by }: (typeof cases)[number]): string =>
  `axis ${axis} of [${shape.join(', ')}] by [${by.join(', ')}]`

/** Lookups along one axis. */
export function gatherSuite(context: SuiteContext): void {
  context.describe('gather', () => {
    for (const item of cases) {
      context.it(`${describeCase(item)}, indices clamped`, async (random) => {
        const builder = new ProgramBuilder()
        const inputs = (['i32', 'u32'] as const).flatMap((dtype) => {
          const [source, by] = [builder.input('f32', item.shape), builder.input(dtype, item.by)]
          builder.call('gather', { axis: item.axis }, [source, by], [builder.output('f32', picked(item))])
          return [normals(random, sizeOf(item.shape)), indices(random, dtype, sizeOf(item.by), item.shape[item.axis]!)]
        })
        await context.check('gather', builder, inputs, identical)
      })
    }

    for (const dtype of context.formats) {
      context.it(`rows of ${dtype}`, async (random) => {
        const builder = new ProgramBuilder()
        const [source, by] = [builder.input(dtype, [13, 7]), builder.input('i32', [9])]
        builder.call('gather', { axis: 0 }, [source, by], [builder.output(dtype, [9, 7])])
        await context.check(
          dtype,
          builder,
          [randomStorage(random, dtype, 91), indices(random, 'i32', 9, 13)],
          identical,
        )
      })
    }

    context.it('transposed and reversed sources, spaced indices, strided outputs', async (random) => {
      const builder = new ProgramBuilder()
      const [source, all, target] = [
        builder.input('f32', [6, 9]),
        builder.input('i32', [14]),
        builder.output('f32', [8, 13]),
      ]
      const by = withView(all, (view) => sliceView(view, [1], [7], [2]))
      const output = withView(target, (view) => sliceView(view, [1, 2], [7, 6], [1, 1]))
      builder.call('gather', { axis: 0 }, [withView(source, (view) => permuteView(view, [1, 0])), by], [output])
      const reversed = withView(source, (view) => sliceView(view, [5, 8], [6, 9], [-1, -1]))
      const flipped = withView(builder.output('f32', [9, 7]), (view) => permuteView(view, [1, 0]))
      builder.call('gather', { axis: 0 }, [reversed, by], [flipped])
      await context.check('views', builder, [normals(random, 54), indices(random, 'i32', 14, 9)], identical)
    })
  })
}

/** Additions and writes at the positions that gather reads. */
export function scatterSuite(context: SuiteContext): void {
  context.describe('scatter', () => {
    for (const item of cases) {
      for (const mode of ['add', 'set'] as const) {
        context.it(`${mode} at ${describeCase(item)}, indices out of range ignored`, async (random) => {
          const builder = new ProgramBuilder()
          const inputs = (['i32', 'u32'] as const).flatMap((dtype) => {
            const base = builder.input('f32', item.shape)
            const [by, updates] = [builder.input(dtype, item.by), builder.input('f32', picked(item))]
            builder.call('scatter', { axis: item.axis, mode }, [base, by, updates], [builder.output('f32', item.shape)])
            const size = sizeOf(item.by)
            return [
              normals(random, sizeOf(item.shape)),
              indices(random, dtype, size, item.shape[item.axis]!),
              normals(random, sizeOf(picked(item))),
            ]
          })
          await context.check('scatter', builder, inputs, mode === 'set' ? identical : accumulated(2, 3))
        })
      }
    }

    context.it('many updates of one position: all are added, or the last one stays', async (random) => {
      const builder = new ProgramBuilder()
      const [base, by, updates] = [
        builder.input('f32', [3, 5]),
        builder.input('i32', [200]),
        builder.input('f32', [200, 5]),
      ]
      for (const mode of ['add', 'set'] as const) {
        builder.call('scatter', { axis: 0, mode }, [base, by, updates], [builder.output('f32', [3, 5])])
      }
      const where = toStorage(
        'i32',
        Array.from({ length: 200 }, () => random.integer(0, 1)),
      )
      await context.check(
        'duplicates',
        builder,
        [normals(random, 15), where, normals(random, 1000)],
        accumulated(4, 10),
      )
    })

    for (const mode of ['add', 'set'] as const) {
      context.it(`${mode} in place: into a temporary, and into memory taken over from an input`, async (random) => {
        const builder = new ProgramBuilder()
        const [base, by, updates] = [
          builder.input('f32', [9, 6]),
          builder.input('i32', [12]),
          builder.input('f32', [12, 6]),
        ]
        const [work, copied] = [builder.temporary('f32', [9, 6]), builder.output('f32', [9, 6])]
        builder.map([9, 6], (body) => body.store(work, body.compute('negate', body.load(base))))
        builder.call('scatter', { axis: 0, mode }, [work, by, updates], [work])
        builder.map([9, 6], (body) => body.store(copied, body.load(work)))
        const taken = builder.input('f32', [9, 6])
        builder.call('scatter', { axis: 0, mode }, [taken, by, updates], [builder.output('f32', [9, 6], taken)])
        const inputs = [normals(random, 54), indices(random, 'i32', 12, 9), normals(random, 72), normals(random, 54)]
        await context.check('in place', builder, inputs, accumulated(2, 3))
      })
    }

    for (const dtype of (['i32', 'u32'] as const).filter((name) => context.formats.includes(name))) {
      context.it(`${dtype}: sums wrap`, async (random) => {
        const builder = new ProgramBuilder()
        const [base, by, updates] = [
          builder.input(dtype, [5, 3]),
          builder.input('i32', [20]),
          builder.input(dtype, [20, 3]),
        ]
        for (const mode of ['add', 'set'] as const) {
          builder.call('scatter', { axis: 0, mode }, [base, by, updates], [builder.output(dtype, [5, 3])])
        }
        const inputs = [
          randomStorage(random, dtype, 15),
          indices(random, 'i32', 20, 5),
          randomStorage(random, dtype, 60),
        ]
        await context.check(dtype, builder, inputs, identical)
      })
    }

    context.it('transposed bases, repeated updates and strided outputs', async (random) => {
      const builder = new ProgramBuilder()
      const [base, by, update] = [builder.input('f32', [6, 9]), builder.input('i32', [7]), builder.input('f32', [1, 6])]
      const target = withView(builder.output('f32', [12, 8]), (view) => sliceView(view, [2, 1], [9, 6], [1, 1]))
      const repeated = withView(update, (view) => ({ ...view, shape: [7, 6], strides: [0, 1] }))
      builder.call(
        'scatter',
        { axis: 0, mode: 'add' },
        [withView(base, (view) => permuteView(view, [1, 0])), by, repeated],
        [target],
      )
      await context.check(
        'views',
        builder,
        [normals(random, 54), indices(random, 'i32', 7, 9), normals(random, 6)],
        accumulated(2, 3),
      )
    })
  })
}
