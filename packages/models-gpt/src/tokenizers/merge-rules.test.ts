import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CounterRandom } from './counter-random.ts'
import { MergeRules } from './merge-rules.ts'

interface Rule {
  readonly left: number
  readonly right: number
  readonly rank: number
  readonly merged: number
}

/** The definition: look for the lowest rank, leftmost first, and join; until nothing fits. */
function applyByDefinition(symbols: number[], rules: readonly Rule[], isDropped: () => boolean): number[] {
  const result = [...symbols]
  for (;;) {
    const fitting = result
      .flatMap((left, place) => {
        const rule = rules.find((candidate) => candidate.left === left && candidate.right === result[place + 1])
        return rule ? [{ place, ...rule }] : []
      })
      .sort((a, b) => a.rank - b.rank || a.place - b.place)
    const chosen = fitting.find(() => !isDropped())
    if (!chosen) return result
    result.splice(chosen.place, 2, chosen.merged)
  }
}

/** Rules over the symbols 0 to 2, each of two known symbols into a new one, as training makes them. */
const rulesArbitrary = fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { maxLength: 12 }).map((choices) => {
  const rules: Rule[] = []
  choices.forEach(([a, b], rank) => {
    const left = a % (3 + rank)
    const right = b % (3 + rank)
    if (!rules.some((rule) => rule.left === left && rule.right === right)) {
      rules.push({ left, right, rank, merged: 3 + rank })
    }
  })
  return rules
})

function compiled(rules: readonly Rule[]): MergeRules {
  const table = new MergeRules()
  for (const { left, right, rank, merged } of rules) table.add(left, right, rank, merged)
  return table
}

function apply(rules: MergeRules, symbols: readonly number[], isDropped?: () => boolean): number[] {
  const list = Int32Array.from(symbols)
  return [...list.subarray(0, rules.apply(list, list.length, isDropped))]
}

const symbolsArbitrary = fc.array(fc.nat(2), { maxLength: 40 })

describe('MergeRules', () => {
  it('does what the definition says', () => {
    fc.assert(
      fc.property(rulesArbitrary, symbolsArbitrary, (rules, symbols) => {
        expect(apply(compiled(rules), symbols)).toEqual(applyByDefinition(symbols, rules, () => false))
      }),
      { numRuns: 500 },
    )
  })

  it('joins the first two of three equal symbols', () => {
    expect(apply(compiled([{ left: 0, right: 0, rank: 0, merged: 1 }]), [0, 0, 0])).toEqual([1, 0])
  })

  it('drops merges as the definition says, with the same draws', () => {
    fc.assert(
      fc.property(rulesArbitrary, symbolsArbitrary, fc.nat(), (rules, symbols, seed) => {
        const draws = [new CounterRandom(seed), new CounterRandom(seed)]
        const [mine, defined] = draws.map((random) => () => random.nextFraction() < 0.4)
        expect(apply(compiled(rules), symbols, mine)).toEqual(applyByDefinition(symbols, rules, defined!))
      }),
      { numRuns: 500 },
    )
  })

  it('keeps the first of two rules for a pair', () => {
    const rules = compiled([
      { left: 0, right: 1, rank: 0, merged: 2 },
      { left: 0, right: 1, rank: 1, merged: 3 },
    ])
    expect(apply(rules, [0, 1])).toEqual([2])
  })
})
