import { accumulated, identical, type SuiteContext } from '../context.ts'
import { type BodyBuilder, type BodyValue, ProgramBuilder } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'
import { lengths } from './operands.ts'

const normals = (random: Random, count: number, scale = 1, mean = 0): Float32Array =>
  Float32Array.from({ length: count }, () => mean + scale * random.normal())

/** GELU by its definition: x/2 · (1 + erf(x/√2)). */
function gelu(body: BodyBuilder, x: BodyValue): BodyValue {
  const half = body.compute('multiply', x, body.constant(0.5))
  return body.compute(
    'multiply',
    half,
    body.compute(
      'add',
      body.compute('erf', body.compute('multiply', x, body.constant(Math.SQRT1_2))),
      body.constant(1),
    ),
  )
}

/** Bodies without reductions: chains, several outputs, iotas, masks. */
export function mapSuite(context: SuiteContext): void {
  context.describe('map bodies', () => {
    context.it('chain elementwise ops: GELU, and its square as a second output', async (random) => {
      const builder = new ProgramBuilder()
      const inputs = lengths.map((length) => {
        const x = builder.input('f32', [length])
        const [y, squared] = [builder.output('f32', [length]), builder.output('f32', [length])]
        builder.map([length], (body) => {
          const value = gelu(body, body.load(x))
          body.store(y, value)
          body.store(squared, body.compute('multiply', value, value))
        })
        return normals(random, length)
      })
      await context.check('gelu', builder, inputs, accumulated(4))
    })

    context.it('mix formats: floats by a mask, integers and booleans out', async (random) => {
      const builder = new ProgramBuilder()
      const inputs = lengths.flatMap((length) => {
        const [x, keep] = [builder.input('f32', [length]), builder.input('bool', [length])]
        const [masked, whole, large] = [
          builder.output('f32', [length]),
          builder.output('i32', [length]),
          builder.output('bool', [length]),
        ]
        builder.map([length], (body) => {
          const [value, mask] = [body.load(x), body.load(keep)]
          const chosen = body.compute('where', mask, value, body.constant(-7))
          body.store(masked, chosen)
          body.store(whole, body.cast(body.compute('multiply', chosen, body.constant(8)), 'i32'))
          body.store(large, body.compute('and', mask, body.compute('less', body.constant(0.5), value)))
        })
        return [normals(random, length), randomStorage(random, 'bool', length)]
      })
      await context.check('mask', builder, inputs, identical)
    })

    context.it('count: iota with strides, an offset, in integers and floats', async () => {
      const builder = new ProgramBuilder()
      for (const shape of [[1], [7], [3, 5], [2, 3, 17], [4, 129]]) {
        const strides = shape.map((_, axis) => [1, -3, 100][axis]!)
        const [integers, floats, unsigned] = (['i32', 'f32', 'u32'] as const).map((dtype) =>
          builder.output(dtype, shape),
        )
        builder.map(shape, (body) => {
          body.store(integers!, body.iota(strides, -4))
          body.store(floats!, body.iota(strides, 10, 'f32'))
          body.store(unsigned!, body.iota(strides, 4000000, 'u32'))
        })
      }
      await context.check('iota', builder, [], identical)
    })

    context.it('store constants, and one value in two outputs', async () => {
      const builder = new ProgramBuilder()
      for (const length of lengths) {
        const outputs = [
          builder.output('f32', [length]),
          builder.output('f32', [length]),
          builder.output('i32', [length]),
        ]
        builder.map([length], (body) => {
          const tenth = body.constant(0.1)
          body.store(outputs[0]!, tenth)
          body.store(outputs[1]!, tenth)
          body.store(outputs[2]!, body.constant(-12, 'i32'))
        })
      }
      await context.check('constants', builder, [], identical)
    })

    context.it('work on scalars', async (random) => {
      const builder = new ProgramBuilder()
      const [a, b, sum] = [builder.input('f32', []), builder.input('f32', []), builder.output('f32', [])]
      builder.map([], (body) => body.store(sum, body.compute('add', body.load(a), body.load(b))))
      await context.check('scalar sum', builder, [normals(random, 1), normals(random, 1)], identical)
    })

    context.it('compute many values from many operands', async (random) => {
      const builder = new ProgramBuilder()
      const shape = [3, 43]
      const operands = Array.from({ length: 4 }, () => builder.input('f32', shape))
      const outputs = Array.from({ length: 3 }, () => builder.output('f32', shape))
      builder.map(shape, (body) => {
        let value = body.constant(1)
        // Magnitudes stay near 1: each step adds a value and halves the sum.
        for (let step = 0; step < 40; step++) {
          value = body.compute(
            'multiply',
            body.compute('add', value, body.load(operands[step % 4]!)),
            body.constant(0.5),
          )
          if (step % 15 === 0) body.store(outputs[step / 15]!, value)
        }
      })
      await context.check(
        'long chain',
        builder,
        operands.map(() => normals(random, 129)),
        accumulated(4),
      )
    })
  })
}

/** Shapes of reduced zones: one axis or several, kept axes before and behind. */
const columnShapes: readonly { readonly shape: readonly number[]; readonly start: number; readonly end: number }[] = [
  { shape: [1, 1], start: 0, end: 1 },
  { shape: [3, 7], start: 0, end: 1 },
  { shape: [129, 17], start: 0, end: 1 },
  { shape: [64, 64], start: 0, end: 1 },
  { shape: [5, 1500], start: 0, end: 1 },
  { shape: [1000, 2], start: 0, end: 1 },
  { shape: [3, 17, 5], start: 1, end: 2 },
  { shape: [2, 3, 4, 9], start: 0, end: 2 },
  { shape: [2, 7, 3, 33], start: 1, end: 3 },
  { shape: [3, 1, 4], start: 1, end: 2 },
  { shape: [2, 3, 0], start: 1, end: 2 },
  { shape: [0, 3, 5], start: 1, end: 2 },
]

/** Reductions over axes that kept ones follow. */
export function columnSuite(context: SuiteContext): void {
  context.describe('column bodies', () => {
    for (const { shape, start, end } of columnShapes) {
      const count = shape.reduce((product, extent) => product * extent, 1)
      const kept = shape.map((extent, axis) => (axis >= start && axis < end ? 1 : extent))
      const keptCount = kept.reduce((product, extent) => product * extent, 1)
      const name = `[${shape.join(', ')}] over axes ${start} to ${end - 1}`

      context.it(`sum a product and a square of ${name}`, async (random) => {
        const builder = new ProgramBuilder()
        const [x, gradient, mean] = [
          builder.input('f32', shape),
          builder.input('f32', shape),
          builder.input('f32', kept),
        ]
        const [first, second] = [builder.output('f32', kept), builder.output('f32', kept)]
        builder.column(shape, start, end, (body) => {
          const centered = body.compute('subtract', body.load(x), body.load(mean))
          body.store(first, body.reduce('reduceSum', body.compute('multiply', centered, body.load(gradient))))
          body.store(second, body.reduce('reduceSum', body.compute('multiply', centered, centered)))
        })
        const inputs = [normals(random, count), normals(random, count), normals(random, keptCount)]
        await context.check(name, builder, inputs, accumulated(4, Math.sqrt(count / Math.max(1, keptCount))))
      })

      context.it(`take extremes and products of ${name}`, async (random) => {
        const builder = new ProgramBuilder()
        const [x, n] = [builder.input('f32', shape), builder.input('i32', shape)]
        const [largest, smallest, total, product] = [
          builder.output('f32', kept),
          builder.output('f32', kept),
          builder.output('i32', kept),
          builder.output('i32', kept),
        ]
        builder.column(shape, start, end, (body) => {
          body.store(largest, body.reduce('reduceMaximum', body.load(x)))
          body.store(smallest, body.reduce('reduceMinimum', body.load(x)))
          body.store(total, body.reduce('reduceSum', body.load(n)))
          body.store(product, body.reduce('reduceProduct', body.load(n)))
        })
        await context.check(name, builder, [normals(random, count), randomStorage(random, 'i32', count)], identical)
      })
    }

    context.it('give the identities of sums and products over no elements', async () => {
      const builder = new ProgramBuilder()
      const x = builder.input('f32', [0, 5])
      const [sum, product] = [builder.output('f32', [1, 5]), builder.output('f32', [1, 5])]
      builder.column([0, 5], 0, 1, (body) => {
        body.store(sum, body.reduce('reduceSum', body.load(x)))
        body.store(product, body.reduce('reduceProduct', body.load(x)))
      })
      await context.check('empty columns', builder, [new Float32Array(0)], identical)
    })

    context.it('read transposed operands and count along the reduced axis', async (random) => {
      const builder = new ProgramBuilder()
      const x = builder.input('f32', [17, 33])
      const sum = builder.output('f32', [1, 17])
      const transposed = { ...x, view: { shape: [33, 17], strides: [1, 33], offset: 0 } }
      builder.column([33, 17], 0, 1, (body) => {
        const weight = body.compute('multiply', body.iota([1, 0], 0, 'f32'), body.constant(1 / 33))
        body.store(sum, body.reduce('reduceSum', body.compute('multiply', body.load(transposed), weight)))
      })
      await context.check('transposed', builder, [normals(random, 17 * 33)], accumulated(4, 3))
    })

    if (context.nonFinite) {
      context.it('carry NaN through extremes and sums', async () => {
        const builder = new ProgramBuilder()
        const x = builder.input('f32', [3, 5])
        const outputs = [1, 2, 3].map(() => builder.output('f32', [1, 5]))
        builder.column([3, 5], 0, 1, (body) => {
          const value = body.load(x)
          body.store(outputs[0]!, body.reduce('reduceMaximum', value))
          body.store(outputs[1]!, body.reduce('reduceMinimum', value))
          body.store(outputs[2]!, body.reduce('reduceSum', value))
        })
        const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
        const values = toStorage('f32', [nan, 1, 2, infinity, 5, 1, nan, 2, 3, -infinity, 4, 2, nan, 1, infinity])
        await context.check('NaN in columns', builder, [values], identical)
      })
    }
  })
}
