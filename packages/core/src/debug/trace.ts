import type { Device } from '../plugin/contract.ts'
import type { CompiledProgram } from '../stages/compiled.ts'
import { describeCall } from './explain.ts'
import { shareOfRoofline, workOf } from './roofline.ts'

/**
 * Puts the calls of a measured run into the performance timeline, one after the other: the performance panel of a browser shows them as a track
 * of their own, and `PerformanceObserver` sees them in Node.
 *
 * @param start when the run began, as `performance.now()` gave it
 */
export function traceCalls(
  name: string,
  { selection }: CompiledProgram,
  { backend, limits }: Pick<Device, 'backend' | 'limits'>,
  microseconds: readonly number[],
  start: number,
): void {
  let at = start
  selection.calls.forEach(({ call, kernel }, i) => {
    const duration = microseconds[i]! / 1000
    const { share, limit } = shareOfRoofline(workOf(call), limits, microseconds[i]!)
    performance.measure(`${kernel.name} ${call.op}`, {
      start: at,
      end: at + duration,
      detail: {
        devtools: {
          dataType: 'track-entry',
          trackGroup: 'Tessera',
          track: `${name} on ${backend}`,
          color: limit === 'memory' ? 'secondary' : 'primary',
          properties: [
            ['call', describeCall(call)],
            ['microseconds', microseconds[i]!.toFixed(1)],
            [`share of ${limit}`, `${(100 * share).toFixed(1)} %`],
          ],
          tooltipText: describeCall(call),
        },
      },
    })
    at += duration
  })
}
