import { applyOp, defineOp, grad, jit, matmul, ShapeError, type Tensor, TesseraError, tensor } from '@tessera/core'
import { describe, expect, it } from 'vitest'

declare module '@tessera/core' {
  interface OpAttributes {
    wrongGradient: Record<never, never>
  }
}

/** Runs a function that makes a mistake in its second line, and gives the error. */
function mistake(body: () => unknown): TesseraError {
  try {
    body()
  } catch (error) {
    if (error instanceof TesseraError) return error
    throw error
  }
  throw new Error('went through')
}

/** The first line of the stack below the message, and the line that this file says it must be. */
const frameOf = (error: TesseraError): string =>
  error
    .stack!.slice(error.stack!.indexOf(error.message) + error.message.length)
    .trim()
    .split('\n')[0]!
/** The line of this file from which it is called. */
const here = (): number => Number(/errors\.test\.ts:(\d+)/.exec(new Error().stack!.split('\n')[2]!)![1])

const [x, y] = [tensor([1, 2]), tensor([1, 2, 3])]

describe('mistakes are reported at the call that makes them', () => {
  const cases: Record<string, () => readonly [TesseraError, number]> = {
    'a method': () => [mistake(() => x.add(y)), here()],
    'a function that calls others': () => [mistake(() => matmul(x, y)), here()],
    'a format': () => [mistake(() => x.and(y)), here()],
    'inside of jit': () => [mistake(() => jit((a: Tensor) => a.sum().add(a.reshape([3])))(x)), here()],
    'inside of a gradient': () => [mistake(() => grad((a: Tensor) => a.multiply(y).sum())(x)), here()],
    'inside of both': () => [mistake(() => jit((a: Tensor) => grad((b: Tensor) => b.multiply(y).sum())(a))(x)), here()],
  }
  it.each(Object.entries(cases))('%s', (_, make) => {
    const [error, line] = make()
    expect(error).toBeInstanceOf(ShapeError)
    expect(error.stack).toMatch(/^ShapeError: /)
    expect(frameOf(error)).toContain(`errors.test.ts:${line}`)
    expect(error.at).toContain(`errors.test.ts:${line}:`)
  })

  it('a gradient of the wrong shape, with the name of the op', () => {
    const op = defineOp({
      op: 'wrongGradient',
      lower: ([a]) => [a!.square()],
      vjp: ({ gradients: [gradient] }) => [gradient!.sum()],
    })
    const error = mistake(() => grad((a: Tensor) => applyOp(op, [a], {})[0]!.sum())(x))
    expect(error.message).toMatch(/^wrongGradient: .*f32\[\].*f32\[2\]/)
    expect(error.at).toContain('errors.test.ts')
  })
})
