import type { MeasureOptions } from './protocol.ts'

/** What one turn gave: times of one run in milliseconds, or why there are none. */
export type Turn = { readonly samplesMs: readonly number[] } | { readonly reason: string }

/** Someone who takes turns. */
export interface Alternating {
  measure(options: MeasureOptions): Promise<Turn>
}

export interface Schedule {
  readonly rounds: number
  /** Samples of a turn; one only from those whose run takes more than {@link slowRuns} samples' time. */
  readonly samples: number
  readonly sampleMs: number
  /** Time of untimed runs before the first turn; before later turns it is `sampleMs`. */
  readonly warmUpMs: number
  /** No further sample of a turn is begun after this long. */
  readonly turnMs: number
  /** Who has spent this long takes no further part: what is much slower than the rest need not be known so well. */
  readonly budgetMs: number
  /** Rest between turns, in which the threads of the last one can fall asleep. */
  readonly pauseMs: number
}

const slowRuns = 10

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * Measures all in turns, each round beginning with another one, so that a drift of the machine's speed and the
 * aftermath of a neighbour's turn hit all alike. Whoever fails is left out from then on; its result is the reason.
 */
export async function alternate<Participant extends Alternating>(
  participants: readonly Participant[],
  { rounds, samples, sampleMs, warmUpMs, turnMs, budgetMs, pauseMs }: Schedule,
  now: () => number = () => performance.now(),
): Promise<Map<Participant, Turn>> {
  const times = new Map<Participant, number[]>(participants.map((participant) => [participant, []]))
  const spent = new Map<Participant, number>()
  const failed = new Map<Participant, string>()
  for (let round = 0; round < rounds; round++) {
    for (const participant of rotate(participants, round)) {
      const earlier = times.get(participant)!
      if (failed.has(participant) || (spent.get(participant) ?? 0) >= budgetMs) continue
      if (pauseMs > 0) await sleep(pauseMs)
      const slow = earlier.length > 0 && Math.min(...earlier) > slowRuns * sampleMs
      const start = now()
      const turn = await participant.measure({
        samples: slow ? 1 : samples,
        sampleMs,
        turnMs,
        warmUpMs: slow ? 0 : earlier.length === 0 ? warmUpMs : sampleMs,
      })
      spent.set(participant, (spent.get(participant) ?? 0) + now() - start)
      if ('reason' in turn) failed.set(participant, turn.reason)
      else earlier.push(...turn.samplesMs)
    }
  }
  return new Map(
    participants.map((participant): [Participant, Turn] => {
      const reason = failed.get(participant)
      return [participant, reason === undefined ? { samplesMs: times.get(participant)! } : { reason }]
    }),
  )
}

function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
