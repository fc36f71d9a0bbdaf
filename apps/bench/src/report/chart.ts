import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { CaseResult, Report } from './report.ts'

/**
 * The report as an SVG document: for each case a bar of GFLOP/s (from the median) for each implementation, a whisker
 * from the slowest to the fastest sample, and the machine's limits as lines.
 */
export async function renderChart(report: Report): Promise<string> {
  const view = new View(parse(compile(specification(report)).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

function specification({ cases, implementations, limits, machine, date }: Report): TopLevelSpec {
  const names = [...new Set(cases.map((result) => result.case))]
  const fastest = Math.max(
    limits.fma128Gflops,
    limits.fma256Gflops,
    ...cases.map((result) => gflopsAt(result, result.minMs)),
  )
  const order = implementations.map(({ implementation, variant }) => `${implementation}/${variant}`)
  return {
    title: {
      text: `GFLOP/s, ${limits.threads} ${limits.threads === 1 ? 'thread' : 'threads'}`,
      subtitle: `${machine.processor}, ${machine.browser ?? `Node ${machine.node}`}, ${date.slice(0, 10)}; lines: limits with 128 and 256 bits`,
      anchor: 'start',
      offset: 12,
    },
    concat: names.map((name) => panel(name, { cases, limits }, fastest, order)),
    columns: 2,
  }
}

type Panel = Extract<TopLevelSpec, { concat: unknown }>['concat'][number]

/** The bars of one case, on an axis from 0 to `fastest`. */
function panel(
  name: string,
  { cases, limits }: Pick<Report, 'cases' | 'limits'>,
  fastest: number,
  order: readonly string[],
): Panel {
  const bars = cases
    .filter((result) => result.case === name)
    .map((result) => ({
      implementation: `${result.implementation}/${result.variant}`,
      library: result.implementation,
      gflops: result.gflops,
      slowest: gflopsAt(result, result.maxMs),
      fastest: gflopsAt(result, result.minMs),
      label: result.gflops.toFixed(1),
    }))
  const scale = { domain: [0, fastest] }
  return {
    title: { text: name, fontSize: 11 },
    width: 360,
    height: { step: 16 },
    data: { values: bars },
    layer: [
      {
        mark: { type: 'rule', color: '#999999', strokeDash: [4, 3] },
        data: { values: [{ limit: limits.fma128Gflops }, { limit: limits.fma256Gflops }] },
        encoding: { x: { field: 'limit', type: 'quantitative', scale } },
      },
      {
        encoding: {
          y: { field: 'implementation', type: 'nominal', title: null, axis: { labelLimit: 300 }, sort: [...order] },
        },
        layer: [
          {
            mark: 'bar',
            encoding: {
              x: { field: 'gflops', type: 'quantitative', title: null, scale },
              color: { condition: { test: "datum.library === 'tessera'", value: '#4c78a8' }, value: '#b9c4d0' },
            },
          },
          {
            mark: { type: 'rule', color: '#222222' },
            encoding: { x: { field: 'slowest', type: 'quantitative' }, x2: { field: 'fastest' } },
          },
          {
            mark: { type: 'text', align: 'left', dx: 3, fontSize: 9 },
            encoding: { x: { field: 'fastest', type: 'quantitative' }, text: { field: 'label' } },
          },
        ],
      },
    ],
  }
}

function gflopsAt({ gflops, medianMs }: CaseResult, milliseconds: number): number {
  return (gflops * medianMs) / milliseconds
}
