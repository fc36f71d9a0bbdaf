import { expect, test } from 'vitest'
import { findFolderCycles } from './folder-cycles.ts'
import { type Import, readImports } from './imports.ts'

function parse(files: Record<string, string>): Map<string, Import[]> {
  return new Map(Object.entries(files).map(([file, source]) => [file, readImports(file, source)]))
}

test('finds no cycle in folders that point one way', () => {
  const files = parse({
    'index.ts': "export { a } from './tensor/a.ts'",
    'tensor/a.ts': "import { b } from '../graph/b.ts'\nimport { c } from './c.ts'",
    'tensor/c.ts': "import { a } from './a.ts'",
    'graph/b.ts': "import { TesseraError } from '../errors.ts'",
  })
  expect(findFolderCycles(files)).toEqual([])
})

test('names every step of a cycle through three folders, once', () => {
  const files = parse({
    'tensor/a.ts': "import { b } from '../graph/b.ts'",
    'graph/b.ts': "\nimport { c } from '../run/c.ts'",
    'run/c.ts': "import type { A } from '../tensor/a.ts'",
  })
  expect(findFolderCycles(files)).toEqual([
    'tensor → graph (tensor/a.ts:1), graph → run (graph/b.ts:2), run → tensor (run/c.ts:1)',
  ])
})

test('types of the contract may be imported anywhere, its values not', () => {
  const contract = "import { shape } from '../graph/shape.ts'"
  const types = parse({ 'plugin/op.ts': contract, 'graph/shape.ts': "import type { Op } from '../plugin/op.ts'" })
  expect(findFolderCycles(types)).toEqual([])
  const values = parse({ 'plugin/op.ts': contract, 'graph/shape.ts': "import { registry } from '../plugin/op.ts'" })
  expect(findFolderCycles(values)).toHaveLength(1)
})
