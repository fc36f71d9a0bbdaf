import { describe, expect, it } from 'vitest'
import { supportsRelaxedSimd } from '../variant.ts'
import { allInstructions, Expression } from './expression.ts'
import { ModuleBuilder } from './index.ts'
import * as scalar from './scalar.ts'
import * as vector from './vector.ts'

/** Calls every value constructor of a namespace with operands of all types until one fits, and returns the expressions. */
function expressions(namespace: Record<string, unknown>): Expression<'i32'>[] {
  const operands = [1, 1n, vector.i32x4.splat(1)] as never[]
  const made: Expression<'i32'>[] = []
  for (const make of Object.values(namespace)) {
    if (typeof make !== 'function') continue
    const attempts = operands.flatMap((a) => operands.flatMap((b) => operands.map((c) => [a, b, c])))
    for (const attempt of attempts) {
      try {
        const expression = make(...attempt)
        if (expression instanceof Expression && !made.includes(expression as never)) made.push(expression as never)
      } catch {
        // These operands do not fit the instruction; others will.
      }
    }
  }
  return made
}

describe('every instruction', () => {
  const namespaces = { ...scalar, ...vector }
  for (const [name, namespace] of Object.entries(namespaces)) {
    it(`of ${name} is encoded as the engine expects`, () => {
      const found = expressions(namespace)
      const relaxed = supportsRelaxedSimd()
      for (const expression of found) {
        if (expression.instruction.name.includes('relaxed') && !relaxed) continue
        const module = new ModuleBuilder()
        module.importMemory('env', 'memory', { minimum: 1 })
        module.function('tested', {}, 'void', (fn) => fn.run(expression))
        expect(WebAssembly.validate(module.toBytes()), expression.instruction.name).toBe(true)
      }
    })
  }

  it('has its own name and code', () => {
    const all = allInstructions()
    expect(new Set(all.map((entry) => entry.name)).size).toBe(all.length)
    expect(new Set(all.map((entry) => `${entry.prefix} ${entry.opcode}`)).size).toBe(all.length)
    expect(all.length).toBeGreaterThan(440)
  })
})
