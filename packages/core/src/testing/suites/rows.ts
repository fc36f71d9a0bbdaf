import { accumulated, identical, type SuiteContext } from '../context.ts'
import { type BodyBuilder, type BodyValue, ProgramBuilder } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'
import { lengths } from './operands.ts'

const normals = (random: Random, count: number, scale = 1, mean = 0): Float32Array =>
  Float32Array.from({ length: count }, () => mean + scale * random.normal())

const rowCounts = [1, 3, 17] as const

/** A test of one row body over `[rows, length]` for all numbers of rows and lengths. */
interface RowCase {
  readonly name: string
  /** Shapes of the inputs, for a domain `[rows, length]`; 1 for what is repeated. */
  readonly inputs: (rows: number, length: number) => readonly (readonly [number, number])[]
  readonly outputs: (rows: number, length: number) => readonly (readonly [number, number])[]
  readonly body: (body: BodyBuilder, inputs: readonly BodyValue[], length: number) => readonly BodyValue[]
  readonly amplification: number
  /** Size of the outputs of rows of a length. */
  readonly scale?: (length: number) => number
  /** The rows must hold at least one element. */
  readonly needsElements?: boolean
}

const mean = (body: BodyBuilder, value: BodyValue, length: number): BodyValue =>
  body.compute('multiply', body.reduce('reduceSum', value), body.constant(1 / Math.max(1, length)))

const rowCases: readonly RowCase[] = [
  {
    name: 'softmax',
    inputs: (rows, length) => [[rows, length]],
    outputs: (rows, length) => [[rows, length]],
    body: (body, [x]) => {
      const exponentials = body.compute('exp', body.compute('subtract', x!, body.reduce('reduceMaximum', x!)))
      return [body.compute('divide', exponentials, body.reduce('reduceSum', exponentials))]
    },
    amplification: 8,
    needsElements: true,
  },
  {
    name: 'log-sum-exp, one value for each row',
    inputs: (rows, length) => [[rows, length]],
    outputs: (rows) => [[rows, 1]],
    body: (body, [x]) => {
      const maximum = body.reduce('reduceMaximum', x!)
      const sum = body.reduce('reduceSum', body.compute('exp', body.compute('subtract', x!, maximum)))
      return [body.compute('add', body.compute('log', sum), maximum)]
    },
    amplification: 8,
    needsElements: true,
  },
  {
    name: 'layer norm with gain and bias, and the deviation of each row',
    inputs: (rows, length) => [
      [rows, length],
      [1, length],
      [1, length],
    ],
    outputs: (rows, length) => [
      [rows, length],
      [rows, 1],
    ],
    body: (body, [x, gain, bias], length) => {
      const centered = body.compute('subtract', x!, mean(body, x!, length))
      const variance = mean(body, body.compute('multiply', centered, centered), length)
      const deviation = body.compute('squareRoot', body.compute('add', variance, body.constant(1e-5)))
      const normal = body.compute('multiply', centered, body.compute('reciprocal', deviation))
      return [body.compute('add', body.compute('multiply', normal, gain!), bias!), deviation]
    },
    // A row of one element has a variance of 0: rounding of its mean is magnified by 1/√1e-5.
    amplification: 400,
  },
  {
    name: 'gradient of softmax: y · (g − Σ g·y), scaled by a value for each row',
    inputs: (rows, length) => [
      [rows, length],
      [rows, length],
      [rows, 1],
    ],
    outputs: (rows, length) => [[rows, length]],
    body: (body, [y, gradient, scale]) => {
      const dot = body.reduce('reduceSum', body.compute('multiply', y!, gradient!))
      return [body.compute('multiply', body.compute('multiply', y!, body.compute('subtract', gradient!, dot)), scale!)]
    },
    amplification: 8,
    scale: Math.sqrt,
  },
  {
    name: 'chained reductions: what exceeds the mean, its sum and its largest',
    inputs: (rows, length) => [[rows, length]],
    outputs: (rows, length) => [
      [rows, 1],
      [rows, 1],
      [rows, length],
    ],
    body: (body, [x], length) => {
      const excess = body.compute('maximum', body.compute('subtract', x!, mean(body, x!, length)), body.constant(0))
      const total = body.reduce('reduceSum', excess)
      const largest = body.reduce(
        'reduceMaximum',
        body.compute('multiply', excess, body.compute('add', total, body.constant(1))),
      )
      return [total, largest, body.compute('subtract', largest, excess)]
    },
    amplification: 8,
    scale: (length) => length,
    needsElements: true,
  },
  {
    name: 'a reduction of a value that is the same for the whole row',
    inputs: (rows) => [[rows, 1]],
    outputs: (rows) => [[rows, 1]],
    body: (body, [x]) => [body.reduce('reduceSum', body.compute('multiply', x!, body.constant(0.5)))],
    amplification: 4,
    scale: (length) => length,
  },
  {
    name: 'a product of factors near one',
    inputs: (rows, length) => [[rows, length]],
    outputs: (rows) => [[rows, 1]],
    body: (body, [x]) => [
      body.reduce(
        'reduceProduct',
        body.compute('add', body.constant(1), body.compute('multiply', x!, body.constant(0.01))),
      ),
    ],
    amplification: 64,
  },
]

/** Rows: reductions along the last axes, and what is computed from them. */
export function rowSuite(context: SuiteContext): void {
  context.describe('row bodies', () => {
    for (const row of rowCases) {
      for (const length of [...lengths, 5000]) {
        if (length === 0 && row.needsElements) continue
        context.it(`${row.name}, rows of ${length}`, async (random) => {
          const builder = new ProgramBuilder()
          const inputs = rowCounts.flatMap((rows) => {
            const domain = [rows, length]
            const operands = row.inputs(rows, length).map((shape) => builder.input('f32', shape))
            const results = row.outputs(rows, length).map((shape) => builder.output('f32', shape))
            builder.row(domain, 1, (body) => {
              const values = row.body(
                body,
                operands.map((operand) => body.load(operand)),
                length,
              )
              for (const [i, result] of results.entries()) body.store(result, values[i]!)
            })
            return row.inputs(rows, length).map(([height, width]) => normals(random, height * width))
          })
          await context.check(row.name, builder, inputs, accumulated(row.amplification, row.scale?.(length) ?? 1))
        })
      }
    }
    rowShapes(context)
    rowFormats(context)
  })
}

function rowShapes(context: SuiteContext): void {
  /** Sums and maxima over the last axes of a domain. */
  const reduceLast = async (random: Random, shape: readonly number[], rowAxes: number): Promise<void> => {
    const count = shape.reduce((product, extent) => product * extent, 1)
    const kept = shape.map((extent, axis) => (axis < shape.length - rowAxes ? extent : 1))
    const builder = new ProgramBuilder()
    const x = builder.input('f32', shape)
    const [sum, centered] = [builder.output('f32', kept), builder.output('f32', shape)]
    builder.row(shape, rowAxes, (body) => {
      const total = body.reduce('reduceSum', body.load(x))
      body.store(sum, total)
      body.store(
        centered,
        body.compute('subtract', body.load(x), body.compute('multiply', total, body.constant(1 / 64))),
      )
    })
    await context.check(
      `rows of the last ${rowAxes} axes of [${shape.join(', ')}]`,
      builder,
      [normals(random, count)],
      accumulated(4, Math.sqrt(count)),
    )
  }
  for (const [shape, rowAxes] of [
    [[5, 3, 7], 2],
    [[2, 3, 4, 17], 2],
    [[2, 3, 4, 17], 3],
    [[129], 1],
    [[33, 65], 2],
    [[3, 1, 5], 2],
    [[3, 5, 1], 1],
    [[7, 5], 0],
    [[2, 0, 5], 1],
  ] as [number[], number][]) {
    context.it(`the last ${rowAxes} axes of [${shape.join(', ')}] form the row`, (random) =>
      reduceLast(random, shape, rowAxes),
    )
  }

  context.it('rows of permuted and reversed operands', async (random) => {
    const builder = new ProgramBuilder()
    const x = builder.input('f32', [7, 3, 5])
    // Axes [3, 5 · 7] of the domain run over [7, 3, 5] out of order, the last one backwards.
    const view = { shape: [3, 5, 7], strides: [5, 1, -15], offset: 90 }
    const [sum, shifted] = [builder.output('f32', [3, 1, 1]), builder.output('f32', [3, 5, 7])]
    builder.row([3, 5, 7], 2, (body) => {
      const value = body.load({ ...x, view })
      const total = body.reduce('reduceSum', value)
      body.store(sum, total)
      body.store(shifted, body.compute('add', value, total))
    })
    await context.check('permuted rows', builder, [normals(random, 105)], accumulated(4, 6))
  })

  context.it('rows that repeat one row, and rows that repeat one element', async (random) => {
    const builder = new ProgramBuilder()
    const [row, element] = [builder.input('f32', [1, 65]), builder.input('f32', [1, 1])]
    const [sum, product] = [builder.output('f32', [9, 1]), builder.output('f32', [9, 65])]
    builder.row([9, 65], 1, (body) => {
      const total = body.reduce('reduceSum', body.load(row))
      body.store(sum, total)
      body.store(product, body.compute('multiply', body.compute('add', body.load(row), total), body.load(element)))
    })
    await context.check('repeated rows', builder, [normals(random, 65), normals(random, 1)], accumulated(4, 8))
  })

  context.it('a causal softmax: masked by comparing iotas', async (random) => {
    const builder = new ProgramBuilder()
    const [heads, time] = [3, 33]
    const shape = [heads, time, time]
    const [scores, weights] = [builder.input('f32', shape), builder.output('f32', shape)]
    builder.row(shape, 1, (body) => {
      const allowed = body.compute('lessEqual', body.iota([0, 0, 1]), body.iota([0, 1, 0]))
      const masked = body.compute(
        'where',
        allowed,
        body.load(scores),
        body.constant(context.nonFinite ? Number.NEGATIVE_INFINITY : -1e9),
      )
      const exponentials = body.compute('exp', body.compute('subtract', masked, body.reduce('reduceMaximum', masked)))
      body.store(weights, body.compute('divide', exponentials, body.reduce('reduceSum', exponentials)))
    })
    await context.check('causal softmax', builder, [normals(random, heads * time * time)], accumulated(8))
  })

  context.it('the first index of the largest element, by comparing with it', async (random) => {
    const builder = new ProgramBuilder()
    const inputs = [1, 7, 64, 1500].map((length) => {
      const [x, index] = [builder.input('f32', [5, length]), builder.output('i32', [5, 1])]
      builder.row([5, length], 1, (body) => {
        const value = body.load(x)
        const isLargest = body.compute('equal', value, body.reduce('reduceMaximum', value))
        body.store(
          index,
          body.reduce(
            'reduceMinimum',
            body.compute('where', isLargest, body.iota([0, 1]), body.constant(length, 'i32')),
          ),
        )
      })
      // Few distinct values, so that the largest one stands in several places.
      return Float32Array.from({ length: 5 * length }, () => random.integer(0, 9))
    })
    await context.check('index of the maximum', builder, inputs, identical)
  })
}

function rowFormats(context: SuiteContext): void {
  for (const dtype of (['i32', 'u32', 'i16', 'i8', 'u8'] as const).filter((name) => context.formats.includes(name))) {
    context.it(`every reduction of ${dtype}, which wraps`, async (random) => {
      const builder = new ProgramBuilder()
      const inputs = [1, 3, 17, 129, 1500].map((length) => {
        const x = builder.input(dtype, [3, length])
        const results = [1, 2, 3, 4].map(() => builder.output(dtype, [3, 1]))
        builder.row([3, length], 1, (body) => {
          const value = body.load(x)
          body.store(results[0]!, body.reduce('reduceSum', value))
          body.store(results[1]!, body.reduce('reduceProduct', body.compute('or', value, body.constant(1, dtype))))
          body.store(results[2]!, body.reduce('reduceMaximum', value))
          body.store(results[3]!, body.reduce('reduceMinimum', value))
        })
        return randomStorage(random, dtype, 3 * length)
      })
      await context.check(`reductions of ${dtype}`, builder, inputs, identical)
    })
  }
  for (const dtype of (['f16', 'bf16', 'f64'] as const).filter((name) => context.formats.includes(name))) {
    context.it(`rows of ${dtype}, summed in f32`, async (random) => {
      const builder = new ProgramBuilder()
      const inputs = [1, 17, 129].map((length) => {
        const [x, sum, scaled] = [
          builder.input(dtype, [3, length]),
          builder.output('f32', [3, 1]),
          builder.output(dtype, [3, length]),
        ]
        builder.row([3, length], 1, (body) => {
          const wide = body.cast(body.load(x), 'f32')
          const total = body.reduce('reduceSum', wide)
          body.store(sum, total)
          body.store(scaled, body.cast(body.compute('multiply', wide, body.constant(0.75)), dtype))
        })
        return randomStorage(random, dtype, 3 * length)
      })
      await context.check(`rows of ${dtype}`, builder, inputs, accumulated(4, 12))
    })
  }
  if (!context.nonFinite) return
  context.it('NaN and infinities reach the reductions of their row only', async () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
    const rows = [
      [1, nan, 3],
      [nan, 1, 2],
      [1, 2, nan],
      [infinity, 1, -infinity],
      [-infinity, -infinity, -infinity],
      [1, 2, 3],
    ]
    const builder = new ProgramBuilder()
    const x = builder.input('f32', [rows.length, 3])
    const outputs = [1, 2, 3, 4].map(() => builder.output('f32', [rows.length, 1]))
    builder.row([rows.length, 3], 1, (body) => {
      const value = body.load(x)
      body.store(outputs[0]!, body.reduce('reduceMaximum', value))
      body.store(outputs[1]!, body.reduce('reduceMinimum', value))
      body.store(outputs[2]!, body.reduce('reduceSum', value))
      body.store(outputs[3]!, body.reduce('reduceProduct', value))
    })
    await context.check('NaN in rows', builder, [toStorage('f32', rows.flat())], identical)
  })
}
