import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Consumer } from '../consumer.ts'
import type { Versions } from '../release.ts'

/** Packages of two releases side by side: npm must find them to fit, with one copy of core. */
export function mixedVersions(first: Versions, second: Versions): Consumer {
  return {
    name: 'mixed versions',
    check: async (context) => {
      context.write(['train.js', 'node.js'])
      const chosen = ['core', 'backend-wasm'].map((name) => `@tessera/${name}@${first[`@tessera/${name}`]}`)
      await context.install(...chosen, `@tessera/nn@${second['@tessera/nn']}`)
      await context.run(process.execPath, 'node.js')
      const version = (name: string) =>
        (
          JSON.parse(readFileSync(join(context.folder, 'node_modules/@tessera', name, 'package.json'), 'utf8')) as {
            version: string
          }
        ).version
      return `core ${version('core')}, backend-wasm ${version('backend-wasm')}, nn ${version('nn')}`
    },
  }
}
