import type { SparsePattern } from '../patterns/pattern.ts'

/**
 * Keys that a group of queries attends to: `repeats` times `count` keys, `step` apart, each time `repeatStep` further. A query sees those whose position
 * less its own is from `lowest` to `highest`.
 */
export interface KeyRun {
  readonly start: number
  readonly step: number
  readonly count: number
  readonly repeats: number
  readonly repeatStep: number
  readonly lowest: number
  readonly highest: number
}

/** Queries that attend to the same runs of keys: `count` of them, `step` apart. */
export interface QueryGroup {
  readonly start: number
  readonly step: number
  readonly count: number
  readonly runs: readonly KeyRun[]
}

/**
 * How a pattern is computed: passes, each of groups. In each pass a query stands in one group at most; every query stands in the first pass. No key is seen
 * twice by a query.
 */
export type PatternPasses = readonly (readonly QueryGroup[])[]

/** A distance that bounds nothing. */
export const unbounded = 2 ** 30

const run = (start: number, count: number, bounds: { lowest?: number; highest?: number } = {}, step = 1): KeyRun => ({
  start,
  step,
  count,
  repeats: 1,
  repeatStep: 0,
  lowest: bounds.lowest ?? -unbounded,
  highest: bounds.highest ?? unbounded,
})

/** The runs of a contiguous group `[start, end)` of queries, and, for patterns with columns, of a group of every `step`-th one. */
interface Rules {
  /** Contiguous groups do not cross multiples of this, counted from `origin`. */
  readonly boundary?: { readonly origin: number; readonly size: number }
  readonly near?: (start: number, end: number) => readonly KeyRun[]
  /** Columns: every `step`-th position from `origin` on sees the columns' keys at least `apart` before it. */
  readonly columns?: { readonly origin: number; readonly step: number; readonly apart: number }
}

/** The last keys of a group, from `first` on, up to `window` of them for each query. */
function windowRun(start: number, end: number, window: number, first = 0): KeyRun {
  const from = Math.max(first, start - window + 1)
  return run(from, end - from, { lowest: 1 - window, highest: 0 })
}

function rulesOf(pattern: SparsePattern, length: number): Rules {
  switch (pattern.kind) {
    case 'dense':
      return { near: (_, end) => [run(0, end, { highest: 0 })] }
    case 'local':
      return { near: (start, end) => [windowRun(start, end, pattern.window)] }
    case 'strided': {
      const { stride, part } = pattern
      const near = (start: number, end: number) => [windowRun(start, end, stride)]
      if (part === 'window') return { near }
      const columns = { origin: 0, step: stride, apart: part === 'both' ? stride : 0 }
      return part === 'both' ? { near, columns } : { columns }
    }
    case 'fixed': {
      const { block, summary, subBlock, part } = pattern
      const cells = block - (subBlock + 1) * summary
      const earlier = (start: number): KeyRun[] => {
        const blocks = Math.floor(start / block)
        if (blocks === 0) return []
        // The longer way round is the inner one.
        const [inner, outer] = [
          { count: summary, step: 1 },
          { count: blocks, step: block },
        ]
        const [first, second] = blocks > summary ? [outer, inner] : [inner, outer]
        return [{ ...run(cells, first.count, {}, first.step), repeats: second.count, repeatStep: second.step }]
      }
      const own = (start: number, end: number): KeyRun[] => {
        const from = Math.floor(start / block) * block
        if (part !== 'summary') return [run(from, end - from, { highest: 0 })]
        // Its own block's summary cells up to it, and itself where it is none of them.
        const first = from + cells
        const seen = run(first, Math.min(end, first + summary) - first, { highest: 0 })
        const self = (from: number, to: number) => (to > from ? [run(from, to - from, { lowest: 0, highest: 0 })] : [])
        const others = [...self(start, Math.min(end, first)), ...self(Math.max(start, first + summary), end)]
        return [...(seen.count > 0 ? [seen] : []), ...others]
      }
      return {
        boundary: { origin: 0, size: block },
        near: (start, end) => [...(part === 'block' ? [] : earlier(start)), ...own(start, end)],
      }
    }
    case 'row':
    case 'column':
    case 'convolution': {
      const { text, width } = pattern
      const image = (start: number, end: number): KeyRun[] => {
        if (pattern.kind !== 'convolution')
          return pattern.kind === 'row' ? [windowRun(start, end, width + 1, text)] : []
        const half = (pattern.size - 1) / 2
        return Array.from({ length: half + 1 }, (_, above) => {
          const [lowest, highest] = [-above * width - half, Math.min(0, half - above * width)]
          const from = Math.max(text, start + lowest)
          return run(from, Math.min(length, end + highest) - from, { lowest, highest })
        }).filter(({ count }) => count > 0)
      }
      // Without text, columns are all that there is.
      if (pattern.kind === 'column' && text === 0) return { columns: { origin: 0, step: width, apart: 0 } }
      return {
        boundary: { origin: text, size: unbounded },
        near: (start, end) =>
          start < text ? [run(0, end, { highest: 0 })] : [...(text > 0 ? [run(0, text)] : []), ...image(start, end)],
        ...(pattern.kind === 'column' && { columns: { origin: text, step: width, apart: 0 } }),
      }
    }
    case 'blocks': {
      const { size, mask, causal } = pattern
      return {
        boundary: { origin: 0, size },
        near: (start, end) => {
          const line = mask[Math.floor(start / size)]!
          const runs: KeyRun[] = []
          for (let block = 0; block < line.length; block++) {
            if (line[block] !== '1') continue
            let last = block
            while (line[last + 1] === '1') last++
            const from = block * size
            const to = Math.min(length, (last + 1) * size, causal ? end : length)
            if (to > from) runs.push(run(from, to - from, causal ? { highest: 0 } : {}))
            block = last
          }
          return runs
        },
      }
    }
  }
}

/** Groups of at most `most` queries, and the runs of keys that they attend to. */
export function passesOf(pattern: SparsePattern, length: number, most: number): PatternPasses {
  const { boundary, near, columns } = rulesOf(pattern, length)
  const passes: QueryGroup[][] = []
  if (near) {
    const groups: QueryGroup[] = []
    for (let start = 0; start < length; ) {
      let end = Math.min(length, start + most)
      if (boundary) {
        const { origin, size } = boundary
        const next = start < origin ? origin : origin + (Math.floor((start - origin) / size) + 1) * size
        end = Math.min(end, next)
      }
      const runs = near(start, end)
      if (runs.length > 0) groups.push({ start, step: 1, count: end - start, runs })
      start = end
    }
    passes.push(groups)
  }
  if (columns) {
    const { origin, step, apart } = columns
    const groups: QueryGroup[] = []
    for (let residue = origin; residue < Math.min(length, origin + step); residue++) {
      const count = Math.ceil((length - residue) / step)
      for (let first = 0; first < count; first += most) {
        const end = Math.min(count, first + most)
        // Keys from `apart` before the last query on are seen by none.
        const keys = end - Math.floor(apart / step)
        const runs = keys > 0 ? [run(residue, keys, { highest: -apart }, step)] : []
        if (runs.length > 0) groups.push({ start: residue + first * step, step, count: end - first, runs })
      }
    }
    passes.push(groups)
  }
  return passes
}
