import { describe, expect, it } from 'vitest'
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

  it('chooses relaxed unless wide is asked for and possible', async () => {
    expect(await chooseVariant()).toBe('relaxed')
    if (!canEnableRevectorizer()) expect(await chooseVariant({ wide: true })).toBe('relaxed')
  })
})
