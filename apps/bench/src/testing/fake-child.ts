/** A child for the tests of the harness: `node fake-child.ts MODE` multiplies matrices plainly, and misbehaves as MODE says. */
import { matmulOperands } from '../cases/matmul.ts'
import { serve } from '../harness/serve.ts'
import type { Implementation } from '../implementations/implementation.ts'
import type { FakeMode } from './fake-entry.ts'

const mode = process.argv[2] as FakeMode

const fake: Implementation = {
  name: 'fake',
  version: '1.2.3',
  available: async () => (mode === 'unavailable' ? 'the fake is switched off' : undefined),
  async prepare(benchmarkCase) {
    if (benchmarkCase.kind !== 'matmul') return undefined
    if (mode === 'throws') throw new Error('no memory left')
    const { m, n, k, transposeA, transposeB } = benchmarkCase
    const { a, b } = matmulOperands(benchmarkCase)
    const large = m > 32
    return {
      run() {
        if (mode === 'dies') process.exit(3)
      },
      async output() {
        const c = new Float32Array(m * n)
        for (let row = 0; row < m; row++) {
          for (let column = 0; column < n; column++) {
            for (let inner = 0; inner < k; inner++) {
              const left = a[transposeA ? inner * m + row : row * k + inner]!
              c[row * n + column]! += left * b[transposeB ? column * k + inner : inner * n + column]!
            }
          }
        }
        if (mode === 'ignores-transposes' && transposeA) c.reverse()
        if (mode === 'one-wrong-element') c[5]! += 0.01
        if (mode === 'wrong-when-large' && large) c[m * n - 1] = Number.NaN
        return c
      },
    }
  },
}

if (mode === 'silent') {
  process.stdin.resume()
} else if (mode === 'babbles') {
  process.stdin.once('data', () => process.stdout.write('hello\n'))
} else {
  await serve(fake, process.stdin, process.stdout)
}
