import { accumulated, identical, type SuiteContext } from '../context.ts'
import { ProgramBuilder } from '../programs.ts'
import type { Random } from '../random.ts'

const normals = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal())

/** Programs of several calls: temporaries, memory used again, memory taken over. */
export function memorySuite(context: SuiteContext): void {
  context.describe('memory of programs', () => {
    context.it('calls see what calls before them wrote', async (random) => {
      const builder = new ProgramBuilder()
      const x = builder.input('f32', [9, 33])
      let value = x
      for (let step = 0; step < 20; step++) {
        const next = builder.temporary('f32', [9, 33])
        const previous = value
        builder.row([9, 33], 1, (body) => {
          const loaded = body.load(previous)
          body.store(
            next,
            body.compute(
              'subtract',
              loaded,
              body.compute('multiply', body.reduce('reduceMaximum', loaded), body.constant(0.5)),
            ),
          )
        })
        value = next
      }
      const y = builder.output('f32', [9, 33])
      const last = value
      builder.map([9, 33], (body) => body.store(y, body.load(last)))
      await context.check('chain', builder, [normals(random, 297)], accumulated(32, 4))
    })

    context.it('temporaries of other sizes and formats take the place of dead ones', async (random) => {
      const builder = new ProgramBuilder()
      const [x, y] = [builder.input('f32', [64]), builder.output('i32', [64])]
      const first = builder.temporary('f32', [64])
      const second = builder.temporary('f32', [64])
      builder.map([64], (body) => body.store(first, body.compute('multiply', body.load(x), body.constant(100))))
      builder.map([64], (body) => body.store(second, body.compute('round', body.load(first))))
      const third = builder.temporary('i32', [64], first)
      builder.map([64], (body) => body.store(third, body.cast(body.load(second), 'i32')))
      const fourth = builder.temporary('bool', [64], second)
      builder.map([64], (body) => body.store(fourth, body.compute('less', body.load(third), body.constant(0, 'i32'))))
      builder.map([64], (body) => {
        const value = body.load(third)
        body.store(y, body.compute('where', body.load(fourth), body.compute('negate', value), value))
      })
      await context.check('shared', builder, [normals(random, 64)], identical)
    })

    context.it('an output that takes over an input is computed in its memory', async (random) => {
      const builder = new ProgramBuilder()
      const [weights, gradient] = [builder.input('f32', [7, 19]), builder.input('f32', [7, 19])]
      const updated = builder.output('f32', [7, 19], weights)
      builder.map([7, 19], (body) => {
        const step = body.compute('multiply', body.load(gradient), body.constant(0.1))
        body.store(updated, body.compute('subtract', body.load(weights), step))
      })
      await context.check('donated', builder, [normals(random, 133), normals(random, 133)], accumulated(2, 1))
    })

    context.it('memory that was taken over is read first and written later', async (random) => {
      const builder = new ProgramBuilder()
      const [state, x] = [builder.input('f32', [12, 5]), builder.input('f32', [12, 12])]
      const [product, next] = [builder.temporary('f32', [12, 5]), builder.output('f32', [12, 5], state)]
      builder.call('matmul', {}, [x, state], [product])
      builder.map([12, 5], (body) => body.store(next, body.compute('maximum', body.load(product), body.constant(0))))
      await context.check('donated', builder, [normals(random, 60), normals(random, 144)], accumulated(2, 4))
    })

    context.it('products, rows and lookups in one program', async (random) => {
      const builder = new ProgramBuilder()
      const [table, tokens] = [builder.input('f32', [11, 16]), builder.input('i32', [6])]
      const [embedded, scores] = [builder.temporary('f32', [6, 16]), builder.temporary('f32', [6, 11])]
      const [weights, gradient] = [builder.output('f32', [6, 11]), builder.output('f32', [11, 16])]
      const transposed = { ...table, view: { shape: [16, 11], strides: [1, 16], offset: 0 } }
      builder.call('gather', { axis: 0 }, [table, tokens], [embedded])
      builder.call('matmul', {}, [embedded, transposed], [scores])
      builder.row([6, 11], 1, (body) => {
        const value = body.compute('multiply', body.load(scores), body.constant(0.25))
        const exponentials = body.compute('exp', body.compute('subtract', value, body.reduce('reduceMaximum', value)))
        body.store(weights, body.compute('divide', exponentials, body.reduce('reduceSum', exponentials)))
      })
      builder.call('scatter', { axis: 0, mode: 'add' }, [table, tokens, embedded], [gradient])
      const inputs = [normals(random, 176), Int32Array.from({ length: 6 }, () => random.integer(0, 10))]
      await context.check('model', builder, inputs, accumulated(32, 1))
    })
  })
}
