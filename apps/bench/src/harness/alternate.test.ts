import { describe, expect, it } from 'vitest'
import { type Alternating, alternate, type Schedule, type Turn } from './alternate.ts'
import type { MeasureOptions } from './protocol.ts'

const schedule: Schedule = {
  rounds: 4,
  samples: 2,
  sampleMs: 5,
  warmUpMs: 100,
  turnMs: 300,
  budgetMs: 1000,
  pauseMs: 0,
}

/** Participants that share a clock and a diary of whose turn it was. */
function gather(runMs: Record<string, number>, failing: Record<string, number> = {}) {
  let time = 0
  const diary: { name: string; options: MeasureOptions }[] = []
  const participants = Object.entries(runMs).map(([name, run]): Alternating => {
    let turns = 0
    return {
      async measure(options): Promise<Turn> {
        diary.push({ name, options })
        if (++turns === failing[name]) return { reason: `${name} fell over` }
        time += run * options.samples
        return { samplesMs: Array<number>(options.samples).fill(run) }
      },
    }
  })
  return { participants, diary, now: () => time }
}

describe('alternate', () => {
  it('lets all take turns and begins each round with another', async () => {
    const { participants, diary, now } = gather({ a: 1, b: 1, c: 1 })
    await alternate(participants, schedule, now)
    expect(diary.map(({ name }) => name).join('')).toBe('abc' + 'bca' + 'cab' + 'abc')
  })
  it('collects every sample', async () => {
    const { participants, now } = gather({ a: 1, b: 2 })
    const results = await alternate(participants, schedule, now)
    expect(results.get(participants[0]!)).toEqual({ samplesMs: Array(8).fill(1) })
    expect(results.get(participants[1]!)).toEqual({ samplesMs: Array(8).fill(2) })
  })
  it('warms up at length only once, and spares slow runs further ones', async () => {
    const { participants, diary, now } = gather({ fast: 1, slow: 51 })
    await alternate(participants, { ...schedule, rounds: 2 }, now)
    const optionsOf = (wanted: string) => diary.filter(({ name }) => name === wanted).map(({ options }) => options)
    expect(optionsOf('fast')).toEqual([
      { samples: 2, sampleMs: 5, turnMs: 300, warmUpMs: 100 },
      { samples: 2, sampleMs: 5, turnMs: 300, warmUpMs: 5 },
    ])
    expect(optionsOf('slow')).toEqual([
      { samples: 2, sampleMs: 5, turnMs: 300, warmUpMs: 100 },
      { samples: 1, sampleMs: 5, turnMs: 300, warmUpMs: 0 },
    ])
  })
  it('stops those who have spent their budget', async () => {
    const { participants, diary, now } = gather({ fast: 1, slow: 300 })
    await alternate(participants, { ...schedule, rounds: 6 }, now)
    expect(diary.filter(({ name }) => name === 'slow')).toHaveLength(3)
    expect(diary.filter(({ name }) => name === 'fast')).toHaveLength(6)
  })
  it('leaves out whoever fails and goes on with the others', async () => {
    const { participants, diary, now } = gather({ a: 1, b: 1 }, { a: 2 })
    const results = await alternate(participants, schedule, now)
    expect(results.get(participants[0]!)).toEqual({ reason: 'a fell over' })
    expect(results.get(participants[1]!)).toEqual({ samplesMs: Array(8).fill(1) })
    expect(diary.filter(({ name }) => name === 'a')).toHaveLength(2)
  })
})
