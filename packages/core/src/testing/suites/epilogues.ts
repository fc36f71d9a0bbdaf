import type { Shape } from '../../graph/shape.ts'
import { broadcastView, permuteView } from '../../graph/view.ts'
import { accumulated, type SuiteContext } from '../context.ts'
import { type BodyBuilder, type BodyValue, ProgramBuilder, withView } from '../programs.ts'
import { type Random, randomStorage } from '../random.ts'

const normals = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal())

/** x · sigmoid(1.702 x) */
function sigmoidGelu(body: BodyBuilder, x: BodyValue): BodyValue {
  const power = body.compute('exp', body.compute('multiply', x, body.constant(-1.702)))
  return body.compute('divide', x, body.compute('add', body.constant(1), power))
}

/** Batch axes, M, K and N: single, odd, a tile, beyond tiles and blocks, long in one direction. */
const products: readonly (readonly [batch: Shape, m: number, k: number, n: number])[] = [
  [[], 1, 1, 1],
  [[], 3, 5, 7],
  [[], 17, 33, 9],
  [[], 64, 64, 64],
  [[], 65, 129, 33],
  [[], 1, 200, 70],
  [[], 4, 40, 97],
  [[], 70, 200, 1],
  [[], 130, 7, 259],
  [[], 9, 600, 130],
  [[], 70, 600, 45],
  [[3], 9, 17, 21],
  [[2, 3], 5, 8, 16],
]

/** Calls with epilogues, of the kernels that take them. */
export function epilogueSuite(context: SuiteContext): void {
  if (!context.kernels.some(({ epilogues }) => epilogues)) return
  const check = async (
    builder: ProgramBuilder,
    inputs: Parameters<SuiteContext['check']>[2],
    amplification: number,
    scale: number,
  ) => {
    if (await context.takes(builder))
      await context.check('epilogue', builder, inputs, accumulated(amplification, scale))
  }

  context.describe('epilogues of matmul', () => {
    for (const [batch, m, k, n] of products) {
      const count = batch.reduce((product, extent) => product * extent, 1)
      const shape = [...batch, m, n]
      const name = `[${[...batch, m, k].join(', ')}] × ${n}`
      const operands = (builder: ProgramBuilder, random: Random) => {
        const [a, b] = [builder.input('f32', [...batch, m, k]), builder.input('f32', [...batch, k, n])]
        return { own: [a, b], values: [normals(random, count * m * k), normals(random, count * k * n)] }
      }
      const scale = Math.sqrt(k)

      context.it(`${name}: bias, activation, residual`, async (random) => {
        const builder = new ProgramBuilder()
        const { own, values } = operands(builder, random)
        const [bias, residual] = [builder.input('f32', batch.map(() => 1).concat(1, n)), builder.input('f32', shape)]
        const output = builder.output('f32', shape)
        builder.callThen('matmul', {}, own, { shape }, (body, result) => {
          const active = sigmoidGelu(body, body.compute('add', result, body.load(bias)))
          body.store(output, body.compute('add', active, body.load(residual)))
        })
        await check(builder, [...values, normals(random, n), normals(random, count * m * n)], 4, scale)
      })

      context.it(`${name}: the result after another operand`, async (random) => {
        const builder = new ProgramBuilder()
        const { own, values } = operands(builder, random)
        const [residual, output] = [builder.input('f32', shape), builder.output('f32', shape)]
        builder.callThen('matmul', {}, own, { shape }, (body, result) => {
          const first = body.load(residual)
          body.store(output, body.compute('add', first, result))
        })
        await check(builder, [...values, normals(random, count * m * n)], 2, scale)
      })

      context.it(
        `${name}: the result as well, a factor for each row, transposed operands and outputs`,
        async (random) => {
          const builder = new ProgramBuilder()
          const { own, values } = operands(builder, random)
          const swapped = [...shape.keys()].slice(0, -2).concat(shape.length - 1, shape.length - 2)
          const flipped = [...batch, n, m]
          const factor = builder.input('f32', [...batch, m, 1])
          const other = withView(builder.input('f32', flipped), (view) => permuteView(view, swapped))
          const target = withView(builder.output('f32', flipped), (view) => permuteView(view, swapped))
          const plain = builder.output('f32', shape)
          builder.callThen('matmul', {}, own, { shape }, (body, result) => {
            const scaled = body.compute('multiply', result, body.load(factor))
            body.store(plain, result)
            body.store(target, body.compute('maximum', scaled, body.load(other)))
          })
          await check(builder, [...values, normals(random, count * m), normals(random, count * m * n)], 4, 3 * scale)
        },
      )

      context.it(`${name}: over an input, a mask of positions, other formats`, async (random) => {
        const builder = new ProgramBuilder()
        const { own, values } = operands(builder, random)
        const state = builder.input('f32', shape)
        const updated = builder.output('f32', shape, state)
        const isPositive = builder.output('bool', shape)
        builder.callThen('matmul', {}, own, { shape }, (body, result) => {
          const row = body.iota(shape.map((_, axis) => (axis === shape.length - 2 ? 1 : 0)))
          const column = body.iota(shape.map((_, axis) => (axis === shape.length - 1 ? 1 : 0)))
          const kept = body.compute('where', body.compute('lessEqual', column, row), result, body.constant(0))
          body.store(updated, body.compute('subtract', body.load(state), kept))
          // A product of whole numbers, so that no rounding decides.
          body.store(isPositive, body.compute('less', body.constant(0.5), result))
        })
        const whole = values.map((list) => list.map((value) => Math.round(value)))
        await check(builder, [...whole, normals(random, count * m * n)], 4, scale)
      })

      context.it(`${name}: layer norm of the rows of a sum`, async (random) => {
        const builder = new ProgramBuilder()
        const { own, values } = operands(builder, random)
        const [residual, sum, output] = [
          builder.input('f32', shape),
          builder.output('f32', shape),
          builder.output('f32', shape),
        ]
        builder.callThen('matmul', {}, own, { shape, rowAxes: 1 }, (body, result) => {
          const x = body.compute('add', result, body.load(residual))
          const mean = body.compute('multiply', body.reduce('reduceSum', x), body.constant(1 / n))
          const centered = body.compute('subtract', x, mean)
          const square = body.compute('multiply', centered, centered)
          const variance = body.compute('multiply', body.reduce('reduceSum', square), body.constant(1 / n))
          const deviation = body.compute('squareRoot', body.compute('add', variance, body.constant(1)))
          body.store(sum, x)
          body.store(output, body.compute('divide', centered, deviation))
        })
        await check(builder, [...values, normals(random, count * m * n)], 16, scale)
      })
    }

    context.it('repeated matrices and a bias for each batch', async (random) => {
      const builder = new ProgramBuilder()
      const [a, b] = [builder.input('f32', [4, 6, 5]), builder.input('f32', [1, 5, 19])]
      const bias = builder.input('f32', [4, 1, 19])
      const output = builder.output('f32', [4, 6, 19])
      const repeated = withView(b, (view) => broadcastView(view, [4, 5, 19]))
      builder.callThen('matmul', {}, [a, repeated], { shape: [4, 6, 19] }, (body, result) => {
        body.store(output, body.compute('add', result, body.load(bias)))
      })
      await check(builder, [normals(random, 120), normals(random, 95), normals(random, 76)], 2, 3)
    })
  })

  context.describe('epilogues of gather', () => {
    context.it('rows of a table, plus positions', async (random) => {
      const builder = new ProgramBuilder()
      const [table, indices] = [builder.input('f32', [11, 33]), builder.input('i32', [2, 5])]
      const [positions, output] = [builder.input('f32', [1, 5, 33]), builder.output('f32', [2, 5, 33])]
      builder.callThen('gather', { axis: 0 }, [table, indices], { shape: [2, 5, 33] }, (body, result) => {
        body.store(output, body.compute('add', result, body.load(positions)))
      })
      const chosen = Int32Array.from({ length: 10 }, () => Math.floor(random.uniform(0, 11)))
      await check(builder, [randomStorage(random, 'f32', 363), chosen, randomStorage(random, 'f32', 165)], 1, 1)
    })
  })
}
