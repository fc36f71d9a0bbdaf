import { permuteView, sliceView } from '../../graph/view.ts'
import { accumulated, identical, type SuiteContext } from '../context.ts'
import { ProgramBuilder, withView } from '../programs.ts'
import { type Random, randomStorage } from '../random.ts'

const normals = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal())

/** How operands lie in memory: transposed, repeated, reversed, spaced out, unaligned, in place. */
export function viewSuite(context: SuiteContext): void {
  context.describe('views', () => {
    for (const dtype of context.formats) {
      context.it(`transposed copies of ${dtype}`, async (random) => {
        const builder = new ProgramBuilder()
        const inputs = [
          [1, 7],
          [3, 5],
          [17, 64],
          [65, 33],
        ].map(([rows, columns]) => {
          const [x, y] = [builder.input(dtype, [rows!, columns!]), builder.output(dtype, [columns!, rows!])]
          builder.map([columns!, rows!], (body) =>
            body.store(y, body.load(withView(x, (view) => permuteView(view, [1, 0])))),
          )
          return randomStorage(random, dtype, rows! * columns!)
        })
        await context.check('transpose', builder, inputs, identical)
      })
    }

    for (const axes of [
      [2, 0, 1],
      [1, 2, 0],
      [0, 2, 1],
      [2, 1, 0],
    ]) {
      context.it(`axes permuted to [${axes.join(', ')}]`, async (random) => {
        const builder = new ProgramBuilder()
        const shape = [3, 17, 9]
        const permuted = axes.map((axis) => shape[axis]!)
        const [x, y] = [builder.input('f32', shape), builder.output('f32', permuted)]
        builder.map(permuted, (body) => {
          body.store(y, body.compute('negate', body.load(withView(x, (view) => permuteView(view, axes)))))
        })
        await context.check('permuted', builder, [normals(random, 459)], identical)
      })
    }

    context.it('operands repeated along any axes', async (random) => {
      const builder = new ProgramBuilder()
      const shape = [3, 5, 17]
      const shapes = [
        [1, 1, 1],
        [3, 1, 1],
        [1, 5, 1],
        [1, 1, 17],
        [3, 1, 17],
        [3, 5, 17],
      ]
      const operands = shapes.map((own) => builder.input('f32', own))
      const y = builder.output('f32', shape)
      builder.map(shape, (body) => {
        body.store(
          y,
          operands.map((operand) => body.load(operand)).reduce((sum, value) => body.compute('add', sum, value)),
        )
      })
      const inputs = shapes.map((own) =>
        normals(
          random,
          own.reduce((product, extent) => product * extent),
        ),
      )
      await context.check('broadcast', builder, inputs, accumulated(4, 2))
    })

    context.it('reversed and skipping slices', async (random) => {
      const builder = new ProgramBuilder()
      const inputs = [1, 7, 64, 129].map((length) => {
        const x = builder.input('f32', [length, 2 * length])
        const [reversed, skipped] = [
          builder.output('f32', [length, 2 * length]),
          builder.output('f32', [length, length]),
        ]
        builder.map([length, 2 * length], (body) => {
          const flipped = withView(x, (view) => sliceView(view, [length - 1, 2 * length - 1], view.shape, [-1, -1]))
          body.store(reversed, body.compute('add', body.load(flipped), body.load(x)))
        })
        builder.map([length, length], (body) => {
          const odd = withView(x, (view) => sliceView(view, [0, 1], [length, length], [1, 2]))
          body.store(skipped, body.compute('absolute', body.load(odd)))
        })
        return normals(random, 2 * length * length)
      })
      await context.check('slices', builder, inputs, identical)
    })

    for (const dtype of context.formats) {
      context.it(`loads and stores of ${dtype} at every small offset`, async (random) => {
        const builder = new ProgramBuilder()
        const inputs = [0, 1, 2, 3, 4, 5].flatMap((offset) =>
          [1, 4, 31].map((length) => {
            const [x, y] = [builder.input(dtype, [length + 9]), builder.output(dtype, [length + 9])]
            const source = withView(x, (view) => sliceView(view, [offset], [length], [1]))
            const target = withView(y, (view) => sliceView(view, [5 - offset], [length], [1]))
            builder.map([length], (body) => body.store(target, body.load(source)))
            return randomStorage(random, dtype, length + 9)
          }),
        )
        await context.check('unaligned', builder, inputs, identical)
      })
    }

    context.it('outputs side by side in one buffer, as a concatenation stores them', async (random) => {
      const builder = new ProgramBuilder()
      const [a, b] = [builder.input('f32', [9, 5]), builder.input('f32', [9, 12])]
      // The last column stays as it is.
      const y = builder.output('f32', [9, 18])
      for (const [part, start] of [
        [a, 0],
        [b, 5],
      ] as const) {
        const target = withView(y, (view) => sliceView(view, [0, start], part.view.shape, [1, 1]))
        builder.map(part.view.shape, (body) => body.store(target, body.compute('negate', body.load(part))))
      }
      await context.check('concatenation', builder, [normals(random, 45), normals(random, 108)], identical)
    })

    context.it('outputs that are transposed, reversed or spaced out', async (random) => {
      const builder = new ProgramBuilder()
      const x = builder.input('f32', [17, 33])
      const targets = [
        withView(builder.output('f32', [33, 17]), (view) => permuteView(view, [1, 0])),
        withView(builder.output('f32', [17, 33]), (view) => sliceView(view, [16, 32], [17, 33], [-1, -1])),
        withView(builder.output('f32', [34, 99]), (view) => sliceView(view, [1, 2], [17, 33], [2, 3])),
      ]
      for (const target of targets)
        builder.map([17, 33], (body) => body.store(target, body.compute('absolute', body.load(x))))
      await context.check('strided outputs', builder, [normals(random, 561)], identical)
    })

    context.it('rows and columns stored into a part of a larger tensor', async (random) => {
      const builder = new ProgramBuilder()
      const x = builder.input('f32', [6, 9])
      const [rows, columns] = [builder.output('f32', [6, 20]), builder.output('f32', [4, 9])]
      builder.row([6, 9], 1, (body) => {
        const value = body.load(x)
        body.store(
          withView(rows, (view) => sliceView(view, [0, 7], [6, 9], [1, 1])),
          body.compute('subtract', value, body.reduce('reduceMaximum', value)),
        )
        body.store(
          withView(rows, (view) => sliceView(view, [0, 19], [6, 1], [1, 1])),
          body.reduce('reduceMinimum', value),
        )
      })
      builder.column([6, 9], 0, 1, (body) => {
        body.store(
          withView(columns, (view) => sliceView(view, [2, 0], [1, 9], [1, 1])),
          body.reduce('reduceMaximum', body.load(x)),
        )
      })
      await context.check('parts', builder, [normals(random, 54)], identical)
    })

    context.it('a map, a row and a per-row value computed in place', async (random) => {
      const builder = new ProgramBuilder()
      const inputs = [1, 5, 130].map((length) => {
        const shape = [7, length]
        const x = builder.input('f32', shape)
        const [data, largest] = [builder.temporary('f32', shape), builder.temporary('f32', [7, 1])]
        const [y, z] = [builder.output('f32', shape), builder.output('f32', [7, 1])]
        builder.row(shape, 1, (body) => {
          body.store(data, body.compute('negate', body.load(x)))
          body.store(largest, body.reduce('reduceMaximum', body.load(x)))
        })
        builder.map(shape, (body) => body.store(data, body.compute('multiply', body.load(data), body.constant(2))))
        builder.row(shape, 1, (body) => {
          const value = body.load(data)
          const smallest = body.reduce('reduceMinimum', value)
          body.store(data, body.compute('maximum', body.compute('multiply', smallest, body.constant(0.25)), value))
          body.store(largest, body.compute('add', body.load(largest), smallest))
        })
        builder.map(shape, (body) => body.store(y, body.load(data)))
        builder.map([7, 1], (body) => body.store(z, body.load(largest)))
        return normals(random, 7 * length)
      })
      await context.check('in place', builder, inputs, accumulated(2, 4))
    })
  })
}
