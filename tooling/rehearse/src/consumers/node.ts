import { join } from 'node:path'
import { type Consumer, expectDevice, type Ran } from '../consumer.ts'

/** The ES modules under one version of Node, which comes from the registry too. */
function underNode(major: number): Consumer {
  return {
    name: `Node ${major}`,
    check: async (context) => {
      const runtime = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
      context.write(['train.js', 'node.js'])
      await context.install('@tessera/core', '@tessera/backend-wasm', '@tessera/nn', `${runtime}@${major}`)
      const node = join(context.folder, 'node_modules', runtime, 'bin/node')
      const version = (await context.run(node, '--version')).trim()
      const ran = JSON.parse(await context.run(node, 'node.js')) as Ran
      const packages = context.installed().join(' ')
      if (packages !== 'backend-wasm core nn') throw new Error(`installed ${packages} instead of what was asked for`)
      return `${version}: ${expectDevice(ran, 'wasm', 2)}`
    },
  }
}

function withBinary(name: string, packages: (arch: string) => string, path: string, args: readonly string[]): Consumer {
  return {
    name,
    check: async (context) => {
      context.write(['train.js', 'node.js'])
      await context.install(
        '@tessera/core',
        '@tessera/backend-wasm',
        '@tessera/nn',
        packages(process.arch === 'x64' ? 'x64' : 'aarch64'),
      )
      const binary = join(context.folder, 'node_modules', packages(process.arch === 'x64' ? 'x64' : 'aarch64'), path)
      const version = (await context.run(binary, '--version')).trim().split('\n')[0]
      const ran = JSON.parse((await context.run(binary, ...args, 'node.js')).trim().split('\n').at(-1)!) as Ran
      return `${version}: ${expectDevice(ran, 'wasm')}`
    },
  }
}

export const nodeConsumers: readonly Consumer[] = [
  ...[20, 22, 24].map(underNode),
  withBinary('Bun', (arch) => `@oven/bun-linux-${arch}`, 'bin/bun', []),
  withBinary('Deno', (arch) => `@deno/linux-${arch === 'x64' ? 'x64' : 'arm64'}-glibc`, 'deno', ['run', '--allow-all']),
]
