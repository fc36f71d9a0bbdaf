import { expect, test } from 'vitest'
import { readImports } from './imports.ts'

test('tells values, types and dynamic imports apart', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { B } from './b.ts'",
    "export { c } from './c.ts'",
    "export type { D } from './d.ts'",
    "const e = await import('./e.ts')",
    "type F = import('./f.ts').F",
    "import './g.ts'",
    "import { type H } from './h.ts'",
    'const text = "import { no } from \'./no.ts\'"',
  ].join('\n')
  const found = readImports('x.ts', source).map(
    ({ specifier, typeOnly, dynamic, line }) =>
      `${line} ${specifier}${typeOnly ? ' type' : ''}${dynamic ? ' dynamic' : ''}`,
  )
  expect(found).toEqual([
    '1 ./a.ts',
    '2 ./b.ts type',
    '3 ./c.ts',
    '4 ./d.ts type',
    '5 ./e.ts dynamic',
    '6 ./f.ts type',
    '7 ./g.ts',
    '8 ./h.ts',
  ])
})
