import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Report } from './report.ts'

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
  const bars = cases.map((result) => {
    const operations = result.gflops * result.medianMs
    return {
      case: result.case,
      implementation: `${result.implementation}/${result.variant}`,
      library: result.implementation,
      gflops: result.gflops,
      slowest: operations / result.maxMs,
      fastest: operations / result.minMs,
      label: result.gflops.toFixed(1),
    }
  })
  const implementation = {
    field: 'implementation',
    type: 'nominal' as const,
    title: null,
    axis: { labelLimit: 300 },
    sort: implementations.map(({ implementation, variant }) => `${implementation}/${variant}`),
  }
  return {
    data: { values: bars },
    title: {
      text: `GFLOP/s, ${limits.threads} ${limits.threads === 1 ? 'thread' : 'threads'}`,
      subtitle: `${machine.processor}, Node ${machine.node}, ${date.slice(0, 10)}; lines: limits with 128 and 256 bits`,
      anchor: 'start',
      offset: 12,
    },
    facet: { field: 'case', type: 'nominal', title: null, sort: cases.map((result) => result.case) },
    columns: Math.min(2, new Set(cases.map((result) => result.case)).size),
    spec: {
      width: 360,
      height: { step: 16 },
      layer: [
        {
          mark: { type: 'rule', color: '#999999', strokeDash: [4, 3] },
          data: { values: [{ limit: limits.fma128Gflops }, { limit: limits.fma256Gflops }] },
          encoding: { x: { field: 'limit', type: 'quantitative' } },
        },
        {
          mark: 'bar',
          encoding: {
            x: { field: 'gflops', type: 'quantitative', title: null },
            y: implementation,
            color: {
              condition: { test: "datum.library === 'tessera'", value: '#4c78a8' },
              value: '#b9c4d0',
            },
          },
        },
        {
          mark: { type: 'rule', color: '#222222' },
          encoding: {
            x: { field: 'slowest', type: 'quantitative' },
            x2: { field: 'fastest' },
            y: implementation,
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: 3, fontSize: 9 },
          encoding: {
            x: { field: 'fastest', type: 'quantitative' },
            y: implementation,
            text: { field: 'label' },
          },
        },
      ],
    },
  }
}
