import { describe, expect, test } from 'vitest'
import { judgeImport, surroundingsOf } from './import-rules.ts'
import { readImports } from './imports.ts'
import type { Manifest } from './workspace.ts'

const manifest: Manifest = {
  name: '@tessera/nn',
  version: '0.0.0',
  exports: { '.': './src/index.ts', './node': './src/node/index.ts' },
  peerDependencies: { '@tessera/core': 'workspace:^' },
  devDependencies: { '@tessera/models-gpt': 'workspace:*', '@tessera/core': 'workspace:*' },
}

/** What the rules say about the files of a package, with `index.ts` and `node/index.ts` as entries. */
function judge(files: Record<string, string>, folder = 'packages/nn', changes: Partial<Manifest> = {}): string[] {
  const imports = new Map(
    Object.entries(files).map(([file, source]) => [`${folder}/src/${file}`, readImports(file, source)]),
  )
  const surroundings = surroundingsOf(folder, { ...manifest, ...changes }, imports, { 'fast-check': '4' })
  return [...imports].flatMap(([file, list]) =>
    list.flatMap((found) => {
      const problem = judgeImport(file, found, surroundings)
      return problem ? [`${file.slice(`${folder}/src/`.length)}: ${problem}`] : []
    }),
  )
}

describe('published packages', () => {
  test('may use declared packages in the direction of the rules', () => {
    expect(judge({ 'index.ts': "import { tensor } from '@tessera/core/testing'" })).toEqual([])
    const upward = judge({ 'index.ts': "import type { Gpt } from '@tessera/models-gpt'" }, 'packages/nn', {
      dependencies: { '@tessera/models-gpt': 'workspace:^' },
    })
    expect(upward).toEqual(['index.ts: dependencies point one way: @tessera/nn may use core, not models-gpt'])
  })

  test('must declare what users load, not what only tests load', () => {
    const found = judge({
      'index.ts': "export { a } from './a.ts'",
      'a.ts': "import fc from 'fast-check'",
      'arbitrary.ts': "import fc from 'fast-check'",
      'a.test.ts': "import './arbitrary.ts'\nimport { a } from '@tessera/nn'\nimport 'unknown'",
    })
    expect(found).toEqual([
      'a.ts: fast-check is not declared in packages/nn/package.json: add it to its dependencies or peerDependencies',
      'a.test.ts: unknown is not declared in packages/nn/package.json: add it to its devDependencies',
    ])
  })

  test('stay inside their folder and import themselves by path', () => {
    const [outside, itself] = judge({ 'index.ts': "import '../../core/src/index.ts'\nimport '@tessera/nn'" })
    expect(outside).toContain('must stay inside its package')
    expect(itself).toContain('by relative path')
  })

  test("load Node's modules from Node-only entries or dynamically", () => {
    const found = judge({
      'index.ts': "import './a.ts'\nimport type { F } from './f.ts'\nconst g = import('./g.ts')",
      'a.ts': "import { open } from 'node:fs/promises'\nconst os = import('node:os')",
      'f.ts': "import 'node:fs'",
      'g.ts': "import 'node:fs'",
      'node/index.ts': "import 'node:fs'",
    })
    expect(found.map((line) => line.split(':')[0])).toEqual(['a.ts'])
  })
})

test('a package that is not published may use everything it declares', () => {
  const source = "import { Gpt } from '@tessera/models-gpt'\nimport 'node:fs'\nimport 'unknown'"
  expect(judge({ 'index.ts': source }, 'apps/gpt', { private: true })).toEqual([
    'index.ts: unknown is not declared in apps/gpt/package.json: add it to its devDependencies',
  ])
})
