import { type HeadShader, indented } from '@tessera/backend-webgpu/kernel'
import type { SparsePattern } from '../patterns/pattern.ts'

/**
 * How a shader finds the keys that a query sees, or the queries that see a key, without a table: as `count` runs of positions, each a function of the
 * position asked about. Runs do not overlap; some may be empty.
 */
export interface Runs {
  /** WGSL. */
  readonly count: string
  /** Statements of a function of `at`, the position, and `which`, the run, that returns `vec3<i32>(start, step, count)`. */
  readonly body: readonly string[]
}

export interface PatternRuns {
  readonly keys: Runs
  readonly queries: Runs
}

/** Statements that return a run of neighbours from `start` up to, not including, `end`. */
const neighbours = (start: string, end: string): string =>
  `return vec3<i32>(${start}, 1, max(0, (${end}) - (${start})));`
/** Every `step`-th position. */
const apart = (start: string, step: string, count: string): string =>
  `return vec3<i32>(${start}, ${step}, max(0, ${count}));`
const none = 'return vec3<i32>(0, 1, 0);'
const only = (body: string): Runs => ({ count: '1', body: [body] })

/**
 * The runs of a pattern over `length` positions.
 *
 * @param shader whose parameters the pattern's sizes become, so that one shader serves all sizes
 * @param mask the bits of a block mask: whether bit `index` is set, as WGSL
 */
export function runsOf(
  pattern: SparsePattern,
  length: string,
  shader: HeadShader,
  mask: (index: string) => string,
): PatternRuns {
  const number = (value: number): string => shader.number(value)
  const past = neighbours('0', 'at + 1')
  const later = neighbours('at', length)
  switch (pattern.kind) {
    case 'dense':
      return { keys: only(past), queries: only(later) }
    case 'local': {
      const window = number(pattern.window)
      return {
        keys: only(neighbours(`max(0, at - ${window} + 1)`, 'at + 1')),
        queries: only(neighbours('at', `min(${length}, at + ${window})`)),
      }
    }
    case 'strided': {
      const stride = number(pattern.stride)
      const window = {
        keys: neighbours(`max(0, at - ${stride} + 1)`, 'at + 1'),
        queries: neighbours('at', `min(${length}, at + ${stride})`),
      }
      if (pattern.part === 'window') return { keys: only(window.keys), queries: only(window.queries) }
      if (pattern.part === 'column') {
        return {
          keys: only(apart(`at % ${stride}`, stride, `at / ${stride} + 1`)),
          queries: only(apart('at', stride, `(${length} - 1 - at) / ${stride} + 1`)),
        }
      }
      const both = (near: string, column: string): Runs => ({
        count: '2',
        body: [`if (which == 0) { ${near} }`, column],
      })
      return {
        keys: both(window.keys, apart(`at % ${stride}`, stride, `at / ${stride}`)),
        queries: both(window.queries, apart(`at + ${stride}`, stride, `(${length} - 1 - at) / ${stride}`)),
      }
    }
    case 'fixed':
      return fixedRuns(pattern, length, number)
    case 'row':
    case 'column':
    case 'convolution':
      return rasterRuns(pattern, length, number)
    case 'blocks': {
      const { size, causal } = pattern
      const lines = number(pattern.mask.length)
      const [width, start, end] = [
        number(size),
        `which * ${number(size)}`,
        `min(${length}, (which + 1) * ${number(size)})`,
      ]
      return {
        keys: {
          count: lines,
          body: [
            `if (!(${mask(`at / ${width} * ${lines} + which`)})) { ${none} }`,
            neighbours(start, causal ? `min(${end}, at + 1)` : end),
          ],
        },
        queries: {
          count: lines,
          body: [
            `if (!(${mask(`which * ${lines} + at / ${width}`)})) { ${none} }`,
            neighbours(causal ? `max(${start}, at)` : start, end),
          ],
        },
      }
    }
  }
}

function fixedRuns(
  { block, summary, subBlock, part }: Extract<SparsePattern, { kind: 'fixed' }>,
  length: string,
  number: (value: number) => string,
): PatternRuns {
  const size = number(block)
  const cells = number(block - (subBlock + 1) * summary)
  const blockStart = `at / ${size} * ${size}`
  const own = {
    keys: neighbours(blockStart, 'at + 1'),
    queries: neighbours('at', `min(${length}, ${blockStart} + ${size})`),
  }
  if (part === 'block') return { keys: only(own.keys), queries: only(own.queries) }
  const isCell = `((at % ${size} >= ${cells}) & (at % ${size} < ${cells} + ${number(summary)}))`
  // One run for each summary cell: that cell of all earlier blocks.
  const earlier = (first: number): string => apart(`${cells} + which - ${first}`, size, `at / ${size}`)
  if (part === 'both') {
    return {
      keys: { count: number(summary + 1), body: [`if (which == 0) { ${own.keys} }`, earlier(1)] },
      queries: only(neighbours('at', `select(min(${length}, ${blockStart} + ${size}), ${length}, ${isCell})`)),
    }
  }
  return {
    keys: {
      count: number(summary + 2),
      body: [
        `let first = ${blockStart} + ${cells};`,
        `if (which == 0) { ${neighbours('first', `min(at + 1, first + ${number(summary)})`)} }`,
        `if (which == 1) { ${neighbours('at', `select(at + 1, at, ${isCell})`)} }`,
        earlier(2),
      ],
    },
    queries: only(neighbours('at', `select(at + 1, ${length}, ${isCell})`)),
  }
}

function rasterRuns(
  pattern: Extract<SparsePattern, { kind: 'row' | 'column' | 'convolution' }>,
  length: string,
  number: (value: number) => string,
): PatternRuns {
  const [text, width] = [number(pattern.text), number(pattern.width)]
  const image = {
    row: {
      count: 1,
      keys: [neighbours(`max(${text}, at - ${width})`, 'at + 1')],
      queries: [neighbours('at', `min(${length}, at + ${width} + 1)`)],
    },
    column: {
      count: 1,
      keys: [apart(`${text} + (at - ${text}) % ${width}`, width, `(at - ${text}) / ${width} + 1`)],
      queries: [apart('at', width, `(${length} - 1 - at) / ${width} + 1`)],
    },
    convolution: (() => {
      const half = ((pattern.kind === 'convolution' ? pattern.size : 1) - 1) / 2
      // One run for each line of the window, from the query's own upwards.
      const line = `let above = (which - 1) * ${width};`
      const reach = number(half)
      return {
        count: half + 1,
        keys: [line, neighbours(`max(${text}, at - above - ${reach})`, `min(at, at - above + ${reach}) + 1`)],
        queries: [line, neighbours(`max(at, at + above - ${reach})`, `min(${length}, at + above + ${reach} + 1)`)],
      }
    })(),
  }[pattern.kind]
  return {
    keys: {
      count: number(image.count + 1),
      body: [
        `if (which == 0) { ${neighbours('0', `min(at + 1, ${text})`)} }`,
        `if (at < ${text}) { ${none} }`,
        ...image.keys,
      ],
    },
    queries: {
      count: number(image.count + 1),
      body: [
        `if (which == 0) { ${neighbours('at', `select(at, ${length}, at < ${text})`)} }`,
        `if (at < ${text}) { ${none} }`,
        ...image.queries,
      ],
    },
  }
}

/** Statements that walk over the runs of a position, `at`: `statements` see the position `name` of each of their members. */
export function forEachPosition(
  shader: HeadShader,
  { count, body }: Runs,
  at: string,
  name: string,
  statements: readonly string[],
): string[] {
  shader.shader.declare(['fn runOf(at: i32, which: i32) -> vec3<i32> {', ...indented(body), '}'].join('\n'))
  return [
    `for (var which = 0; which < ${count}; which++) {`,
    ...indented([
      `let run = runOf(${at}, which);`,
      'for (var step = 0; step < run.z; step++) {',
      `  let ${name} = run.x + step * run.y;`,
      ...indented(statements),
      '}',
    ]),
    '}',
  ]
}
