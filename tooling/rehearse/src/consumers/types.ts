import type { Consumer } from '../consumer.ts'

/** Strict type checks of everything, the declarations of the packages included. */
function withResolution(name: string, resolution: Readonly<Record<string, string>>): Consumer {
  return {
    name: `TypeScript, ${name}`,
    check: async (context) => {
      const compilerOptions = {
        ...resolution,
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable', 'dom'],
        types: [],
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        verbatimModuleSyntax: true,
      }
      context.write(['types.ts'], { 'tsconfig.json': JSON.stringify({ compilerOptions, files: ['types.ts'] }) })
      await context.install('@tessera/core', '@tessera/backend-wasm', '@tessera/nn', 'typescript@6.0.3')
      await context.run(context.binary('tsc'), '-p', '.')
      return 'no errors, declarations checked'
    },
  }
}

export const typeConsumers: readonly Consumer[] = [
  withResolution('nodenext', { module: 'nodenext' }),
  withResolution('bundler', { module: 'esnext', moduleResolution: 'bundler' }),
]
