import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Consumer } from '../consumer.ts'

const example = join(import.meta.dirname, '../../../../examples/third-party-blas')

/** The backend of someone else, with the published packages and the conformance suites that they bring. */
export const thirdParty: Consumer = {
  name: 'a backend of someone else (OpenBLAS)',
  check: async (context) => {
    context.write([])
    cpSync(example, context.folder, { recursive: true, filter: (path) => !path.includes('node_modules') })
    const { peerDependencies = {}, dependencies = {} } = JSON.parse(
      readFileSync(join(example, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>
    await context.install(
      ...Object.keys(peerDependencies),
      ...Object.entries(dependencies).map(([name, version]) => `${name}@${version}`),
    )
    const output = await context.run(process.execPath, '--test', '--test-reporter=tap', 'src/*.test.ts')
    const passed = /^# pass (\d+)$/m.exec(output)?.[1]
    return `${passed} tests of the suites pass`
  },
}
