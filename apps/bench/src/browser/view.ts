import type { CaseResult, Report } from '../report/report.ts'

/** Everything between the head and the script of the page. */
export const pageBody = `
<style>
  body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
  h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin: 1.4rem 0 0.3rem }
  .case { display: grid; grid-template-columns: 13rem 1fr 6rem 6rem 5rem; gap: 0.15rem 0.6rem; align-items: center }
  .bar { background: #b9c4d0; height: 0.9rem; border-radius: 2px } .own { background: #4c78a8 }
  .number { text-align: right; font-variant-numeric: tabular-nums } .head { color: #666; font-size: 0.85em }
  #progress { color: #666 } #missing { color: #666; font-size: 0.85em }
</style>
<h1>Tessera and its peers in this browser</h1>
<p id="machine"></p><p id="progress"></p><div id="cases"></div><p id="missing"></p>`

export function showProgress(text: string): void {
  document.querySelector('#progress')!.textContent = text
}

/** Draws all figures anew: a bar of GFLOP/s and numbers for each implementation, on one scale in each case. */
export function showReport({ machine, limits, cases, implementations, notTimed }: Report): void {
  document.querySelector('#machine')!.textContent =
    `${machine.browser}, ${machine.cores} processors, ${limits.threads} threads; limits: ` +
    `${limits.fma128Gflops.toFixed(0)} GFLOP/s with 128 bits, ${limits.copyGBs.toFixed(1)} GB/s copying`
  const names = [...new Set(cases.map((result) => result.case))]
  document.querySelector('#cases')!.replaceChildren(
    ...names.flatMap((name) => {
      const title = document.createElement('h2')
      title.textContent = name
      return [title, panel(cases.filter((result) => result.case === name))]
    }),
  )
  document.querySelector('#missing')!.textContent = [
    ...implementations.flatMap(({ implementation, variant, unavailable }) =>
      unavailable === null ? [] : [`${implementation}/${variant}: ${unavailable}`],
    ),
    ...new Set(notTimed.map(({ implementation, variant, reason }) => `${implementation}/${variant}: ${reason}`)),
  ].join('; ')
}

function panel(results: readonly CaseResult[]): HTMLElement {
  const element = document.createElement('div')
  element.className = 'case'
  const most = Math.max(...results.map(({ gflops }) => gflops))
  const cell = (text: string, className: string): HTMLElement => {
    const made = document.createElement('span')
    made.className = className
    made.textContent = text
    return made
  }
  element.append(...['', '', 'median ms', 'GFLOP/s', 'of limit'].map((text) => cell(text, 'number head')))
  for (const { implementation, variant, medianMs, gflops, shareOfLimit } of results) {
    const bar = cell('', implementation === 'tessera' ? 'bar own' : 'bar')
    bar.style.width = `${(100 * gflops) / most}%`
    element.append(
      cell(`${implementation}/${variant}`, ''),
      bar,
      cell(medianMs < 1000 ? medianMs.toPrecision(3) : medianMs.toFixed(0), 'number'),
      cell(gflops.toFixed(1), 'number'),
      cell(`${(100 * shareOfLimit).toFixed(0)} %`, 'number'),
    )
  }
  return element
}
