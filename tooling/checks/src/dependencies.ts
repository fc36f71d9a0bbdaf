import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRules } from './dependency-rules.ts'
import { findFolderCycles } from './folder-cycles.ts'
import { judgeImport, surroundingsOf } from './import-rules.ts'
import { readImports } from './imports.ts'
import type { Findings } from './report.ts'
import { isTest, listPackages, listSources, readManifest, root } from './workspace.ts'

/**
 * Checks that packages depend on each other in the allowed direction, that every import is declared, that library code
 * keeps off Node's modules, and that the folders inside each published package form no cycle.
 */
export function checkDependencies(): Findings {
  const errors: string[] = []
  const rootDependencies = readManifest(join(root, 'package.json')).devDependencies ?? {}
  let count = 0
  for (const target of listPackages()) {
    const { folder, manifest } = target
    if (folder.startsWith('packages/') && !(folder.slice('packages/'.length) in packageRules)) {
      errors.push(`${folder}: no rule says what it may depend on: add it to tooling/checks/src/dependency-rules.ts`)
    }
    if (folder === 'packages/core') {
      for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
        errors.push(`${folder}/package.json: core has no runtime dependencies: remove ${name}`)
      }
    }
    const imports = new Map(
      listSources(target).map((file) => [file, readImports(file, readFileSync(join(root, file), 'utf8'))]),
    )
    const surroundings = surroundingsOf(folder, manifest, imports, rootDependencies)
    for (const [file, list] of imports) {
      for (const found of list) {
        count += 1
        const problem = judgeImport(file, found, surroundings)
        if (problem) errors.push(`${file}:${found.line}: import of ${found.specifier}: ${problem}`)
      }
    }
    if (manifest.private) continue
    const source = `${folder}/src/`
    const inSource = [...imports]
      .filter(([file]) => !isTest(file))
      .map(([file, list]) => [file.slice(source.length), list] as const)
    errors.push(...findFolderCycles(new Map(inSource)).map((cycle) => `${source}: folders import each other: ${cycle}`))
  }
  return { errors, summary: `${count} imports` }
}
