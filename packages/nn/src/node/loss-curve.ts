import { writeFile } from 'node:fs/promises'
import { TesseraError } from '@tessera/core'
import type { Spec } from 'vega'
import type { History, StepRecord } from '../trainer/history.ts'

export interface LossCurveOptions {
  readonly title?: string
  /** Name of the vertical axis, with the unit. */
  readonly lossName?: string
  /** In pixels, of the plot without axes. */
  readonly width?: number
  readonly height?: number
}

/** Most points of the training line: what more there is, is averaged. */
const mostPoints = 600

/**
 * Draws the losses of a run as an SVG picture: training as a thin line, validation as points. Long runs are averaged over
 * equal stretches of steps, which the legend says.
 *
 * Needs the package `vega`, which is loaded when it is called.
 */
export async function lossCurve(history: History, options: LossCurveOptions = {}): Promise<string> {
  if (history.steps.length === 0) {
    throw new TesseraError(
      'LOSS_CURVE',
      'lossCurve: the history has no steps, so there is nothing to draw. Train first.',
    )
  }
  const { parse, View } = await import('vega').catch((cause) => {
    throw new TesseraError(
      'MISSING_PACKAGE',
      "Pictures are drawn by the package 'vega'. Install it: npm install vega",
      { cause },
    )
  })
  const view = new View(parse(lossCurveSpec(history, options)), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

/** Writes the picture of `lossCurve` to a file. */
export async function writeLossCurve(history: History, path: string, options: LossCurveOptions = {}): Promise<void> {
  const picture = await lossCurve(history, options)
  await writeFile(path, picture).catch((cause) => {
    throw new TesseraError(
      'WRITE_FAILED',
      `${path} could not be written: ${(cause as Error).message}. Check that the folder exists and has room.`,
      { cause },
    )
  })
}

const colors = { training: '#4c78a8', validation: '#e45756', text: '#333', line: '#ddd' }
const font = 'Helvetica, Arial, sans-serif'

function lossCurveSpec(history: History, options: LossCurveOptions): Spec {
  const { title = 'Loss', lossName = 'loss (nats)', width = 720, height = 420 } = options
  const stretch = Math.ceil(history.steps.length / mostPoints)
  const training = stretch > 1 ? `training (mean of ${stretch} steps)` : 'training'
  const series = history.evaluations.length > 0 ? [training, 'validation'] : [training]
  const axis = {
    labelFont: font,
    titleFont: font,
    labelColor: colors.text,
    titleColor: colors.text,
    titleFontSize: 12,
    titleFontWeight: 'normal',
  } as const
  const grid = { grid: true, gridColor: colors.line, domain: false, tickColor: colors.line, titlePadding: 10 }
  const place = { x: { scale: 'x', field: 'step' }, y: { scale: 'y', field: 'loss' } }
  const tooltip = { signal: "'step ' + datum.step + ': ' + format(datum.loss, '.4f')" }
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    width,
    height,
    padding: 16,
    background: 'white',
    title: { text: title, font, fontSize: 15, color: colors.text, anchor: 'start', offset: 14 },
    data: [
      { name: 'training', values: averaged(history.steps, stretch) },
      { name: 'validation', values: history.evaluations.map(({ step, loss }) => ({ step, loss })) },
    ],
    scales: [
      {
        name: 'x',
        type: 'linear',
        range: 'width',
        zero: false,
        domain: {
          fields: [
            { data: 'training', field: 'step' },
            { data: 'validation', field: 'step' },
          ],
        },
      },
      {
        name: 'y',
        type: 'linear',
        range: 'height',
        zero: false,
        nice: true,
        domain: {
          fields: [
            { data: 'training', field: 'loss' },
            { data: 'validation', field: 'loss' },
          ],
        },
      },
      { name: 'color', type: 'ordinal', domain: series, range: [colors.training, colors.validation] },
    ],
    axes: [
      {
        orient: 'bottom',
        scale: 'x',
        title: 'step',
        tickCount: 8,
        ...axis,
        ...grid,
        grid: false,
        domain: true,
        domainColor: colors.line,
      },
      { orient: 'left', scale: 'y', title: lossName, tickCount: 6, ...axis, ...grid },
    ],
    legends: [
      {
        stroke: 'color',
        symbolType: 'stroke',
        symbolStrokeWidth: 2.5,
        orient: 'top-right',
        labelFont: font,
        labelColor: colors.text,
        labelLimit: 0,
      },
    ],
    marks: [
      {
        type: 'line',
        from: { data: 'training' },
        encode: { enter: { ...place, stroke: { value: colors.training }, strokeWidth: { value: 1.2 }, tooltip } },
      },
      {
        type: 'line',
        from: { data: 'validation' },
        encode: {
          enter: {
            ...place,
            stroke: { value: colors.validation },
            strokeWidth: { value: 1 },
            strokeDash: { value: [3, 3] },
          },
        },
      },
      {
        type: 'symbol',
        from: { data: 'validation' },
        encode: {
          enter: {
            ...place,
            fill: { value: colors.validation },
            stroke: { value: 'white' },
            size: { value: 55 },
            tooltip,
          },
        },
      },
    ],
  }
}

/** Means over stretches of steps, each at the last step of its stretch. */
function averaged(steps: readonly StepRecord[], stretch: number): { step: number; loss: number }[] {
  const points: { step: number; loss: number }[] = []
  for (let start = 0; start < steps.length; start += stretch) {
    const part = steps.slice(start, start + stretch)
    points.push({ step: part.at(-1)!.step, loss: part.reduce((total, { loss }) => total + loss, 0) / part.length })
  }
  return points
}
