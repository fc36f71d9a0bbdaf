import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { RunResult } from './run.ts'

async function render(specification: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(specification).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

/** Losses of all runs, each point the mean of some steps, as SVG. */
export function lossChart(
  runs: readonly Pick<RunResult, 'format' | 'seed' | 'losses'>[],
  { title = 'Training loss by number format', legend = 'format' } = {},
): Promise<string> {
  const longest = runs.reduce((most, { losses }) => Math.max(most, losses.length), 1)
  const stretch = Math.max(1, Math.round(longest / 60))
  const values = runs.flatMap(({ format, seed, losses }) =>
    losses.flatMap((_, i) => {
      if (i % stretch !== 0) return []
      const part = losses.slice(i, i + stretch)
      return [
        {
          format,
          run: `${format} ${seed}`,
          step: i + stretch / 2,
          loss: part.reduce((sum, loss) => sum + loss, 0) / part.length,
        },
      ]
    }),
  )
  return render({
    title: { text: title, anchor: 'start' },
    width: 640,
    height: 380,
    data: { values },
    mark: { type: 'line', strokeWidth: 1.3, opacity: 0.8 },
    encoding: {
      x: { field: 'step', type: 'quantitative' },
      y: { field: 'loss', type: 'quantitative', title: 'loss (nats)', scale: { zero: false } },
      color: { field: 'format', type: 'nominal', title: legend },
      detail: { field: 'run', type: 'nominal' },
    },
  })
}

/** Logarithms of Γ, κ and Φ with its prediction, of the traced tensors of a run, as SVG: Köster et al. 2017, figure 2. */
export function traceChart({ format, trace }: RunResult): Promise<string> {
  const tensors = [...new Set(trace.map(({ tensor }) => tensor))]
  const kinds = [
    { title: 'log2 Γ, the largest mantissa', lines: ['largest'] },
    { title: 'log2 κ, the scale', lines: ['scale'] },
    { title: 'log2 Φ, and what κ holds', lines: ['magnitude', 'predicted'] },
  ] as const
  return render({
    title: { text: `Autoflex in ${format}`, anchor: 'start' },
    columns: kinds.length,
    concat: tensors.flatMap((tensor) =>
      kinds.map(({ title, lines }) => ({
        title: { text: `${tensor}: ${title}`, fontSize: 11 },
        width: 260,
        height: 150,
        data: {
          values: trace.flatMap((point) =>
            point.tensor === tensor
              ? lines.map((line) => ({ step: point.step, line, value: Math.log2(Math.max(point[line], 2 ** -40)) }))
              : [],
          ),
        },
        mark: { type: 'line' as const, strokeWidth: 1.2 },
        encoding: {
          x: { field: 'step', type: 'quantitative' as const },
          y: { field: 'value', type: 'quantitative' as const, title: null, scale: { zero: false } },
          color: { field: 'line', type: 'nominal' as const, legend: null },
        },
      })),
    ),
  })
}
