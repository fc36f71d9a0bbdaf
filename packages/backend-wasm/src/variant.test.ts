import v8 from 'node:v8'
import { describe, expect, it, vi } from 'vitest'
import { f32x4, ModuleBuilder } from './assembler/index.ts'
import {
  canEnableRevectorizer,
  chooseVariant,
  enableRelaxedSimdInNode20,
  supportsRelaxedSimd,
  supportsSimd,
  supportsThreads,
} from './variant.ts'

/** Whether the engine accepts a module of the assembler that uses relaxed SIMD. */
function acceptsRelaxedSimd(): boolean {
  const module = new ModuleBuilder()
  module.function('relaxed', {}, 'void', (fn) => {
    const x = fn.local('v128', 'x', f32x4.splat(1))
    fn.run(f32x4.relaxedMadd(x, x, x))
  })
  return WebAssembly.validate(module.toBytes())
}

describe('variants', () => {
  it('finds SIMD and threads, which every supported Node has', () => {
    expect(supportsSimd()).toBe(true)
    expect(supportsThreads()).toBe(true)
  })

  it('probes relaxed SIMD as the engine judges it', () => {
    expect(supportsRelaxedSimd()).toBe(acceptsRelaxedSimd())
  })

  it('enables relaxed SIMD where a flag does', async () => {
    expect(await enableRelaxedSimdInNode20()).toBe(true)
    expect(acceptsRelaxedSimd()).toBe(true)
  })

  it('sets no flag that the engine does not know', async () => {
    const validate = vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    const setFlags = vi.spyOn(v8, 'setFlagsFromString').mockReturnValue(undefined)
    try {
      expect(await enableRelaxedSimdInNode20()).toBe(false)
      const isNode20 = process.versions.node.startsWith('20.')
      expect(setFlags.mock.calls).toEqual(isNode20 ? [['--experimental-wasm-relaxed-simd']] : [])
    } finally {
      validate.mockRestore()
      setFlags.mockRestore()
    }
  })

  it('chooses relaxed unless wide is asked for and possible', async () => {
    expect(await chooseVariant()).toBe('relaxed')
    if (!canEnableRevectorizer()) expect(await chooseVariant({ wide: true })).toBe('relaxed')
  })
})
