import { expect, test } from 'vitest'
import { type Importable, printMissingImports } from './example-imports.ts'

const names = new Map<string, Importable>([
  ['tensor', { specifier: '@tessera/core', kind: 'value' }],
  ['Tensor', { specifier: '@tessera/core', kind: 'type' }],
  ['jit', { specifier: '@tessera/core', kind: 'value' }],
  ['Linear', { specifier: '@tessera/nn', kind: 'value' }],
  ['weight', { specifier: '@tessera/nn', kind: 'value' }],
])

test('imports the public names that an example leaves out', () => {
  const code = "import { jit } from '@tessera/core'\nconst f = jit((): Tensor => new Linear(2).forward(tensor([1])))"
  expect(printMissingImports(code, names)).toBe(
    "import { type Tensor, tensor } from '@tessera/core'; import { Linear } from '@tessera/nn';",
  )
})

test('leaves alone what the example declares, and names of members', () => {
  expect(printMissingImports('const tensor = 1\nconsole.log(tensor)', names)).toBe('')
  expect(printMissingImports('model.weight.add({ jit: 1 })', names)).toBe('')
  expect(printMissingImports('const [weight] = list; ((jit) => jit)(weight)', names)).toBe('')
})
