import type { Shape } from '../graph/shape.ts'

/** Two numbers agree when they differ by at most `absolute + relative · |expected|`. NaN agrees with NaN only. */
export interface Tolerance {
  readonly relative: number
  readonly absolute: number
}

export interface CloseOptions extends Partial<Tolerance> {
  /** The shape of both arrays, to report indices by axis. */
  readonly shape?: Shape
  /** Whether 0 and −0 differ; they do not unless this says so. */
  readonly signedZero?: boolean
}

/** How far apart two numbers are, in units of what is allowed: more than 1 is a failure. */
function excess(actual: number, expected: number, relative: number, absolute: number, signedZero: boolean): number {
  if (Object.is(actual, expected) || (actual === expected && !(signedZero && expected === 0))) return 0
  const difference = Math.abs(actual - expected)
  const allowed = absolute + relative * Math.abs(expected)
  // Covers NaN and infinities on either side, and zeros of the wrong sign.
  if (!(difference < Number.POSITIVE_INFINITY) || !(allowed < Number.POSITIVE_INFINITY) || actual === expected)
    return Number.POSITIVE_INFINITY
  return difference === 0 ? 0 : difference / allowed
}

/** `5 [1, 2]` for element 5 of a tensor of shape `[2, 3]`. */
function formatIndex(flat: number, shape: Shape | undefined): string {
  if (!shape) return `${flat}`
  const index: number[] = []
  let rest = flat
  for (const extent of [...shape].reverse()) {
    index.unshift(rest % extent)
    rest = Math.floor(rest / extent)
  }
  return `${flat} [${index.join(', ')}]`
}

const formatNumber = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

/**
 * Throws when two arrays differ by more than the tolerance, with the worst element, its index and what was allowed.
 *
 * @example
 * ```ts
 * assertClose([1, 2.000001], [1, 2], { relative: 1e-6 }, 'square root')
 * ```
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative = 0, absolute = 0, shape, signedZero = false }: CloseOptions,
  label: string,
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${label}: ${actual.length} elements instead of ${expected.length}.`)
  }
  let failures = 0
  let worst = 0
  let worstIndex = -1
  for (let i = 0; i < actual.length; i++) {
    const amount = excess(actual[i]!, expected[i]!, relative, absolute, signedZero)
    if (amount <= 1) continue
    failures++
    if (amount > worst) {
      worst = amount
      worstIndex = i
    }
  }
  if (failures === 0) return
  const [got, wanted] = [actual[worstIndex]!, expected[worstIndex]!]
  const of = shape ? ` of [${shape.join(', ')}]` : ''
  throw new Error(
    `${label}: ${failures} of ${actual.length} elements${of} differ. Worst: element ${formatIndex(worstIndex, shape)} is ` +
      `${formatNumber(got)} instead of ${formatNumber(wanted)}, a difference of ${Math.abs(got - wanted).toPrecision(3)} where ` +
      `${(absolute + relative * Math.abs(wanted)).toPrecision(3)} is allowed (relative ${relative}, absolute ${absolute}).`,
  )
}

/** ‖actual − expected‖ / ‖expected‖ over the elements that are finite in both; 0 for two arrays without any. */
export function relativeRms(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0
  let power = 0
  for (let i = 0; i < actual.length; i++) {
    if (!Number.isFinite(actual[i]!) || !Number.isFinite(expected[i]!)) continue
    error += (actual[i]! - expected[i]!) ** 2
    power += expected[i]! ** 2
  }
  return error === 0 ? 0 : Math.sqrt(error / power)
}

/** Throws unless the operation throws or rejects with an error that has a message. */
export async function assertFails(operation: () => unknown, label: string): Promise<void> {
  try {
    await operation()
  } catch (error) {
    if (error instanceof Error && error.message.length > 0) return
    throw new Error(`${label}: failed with ${String(error)}, not with an Error that says what failed.`)
  }
  throw new Error(`${label}: went through; it must fail.`)
}
