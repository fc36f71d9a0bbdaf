/** What `checkGradient` compares. */
export interface GradientCheck {
  /** The scalar function. It must compute in float64, or differences drown in rounding. */
  readonly evaluate: (inputs: Float64Array[]) => Promise<number> | number
  /** Its gradient: for each input an array of the same length. */
  readonly gradient: (inputs: Float64Array[]) => Promise<readonly ArrayLike<number>[]> | readonly ArrayLike<number>[]
  readonly inputs: readonly Float64Array[]
  /** Largest difference, relative to 1 or to the numeric derivative if that is larger. 1e-6 by default. */
  readonly tolerance?: number
  /** Distance of the differences, relative to 1 or to the element if that is larger. 1e-5 by default. */
  readonly step?: number
  /** Names of the inputs, for the report. */
  readonly names?: readonly string[]
}

interface Mismatch {
  readonly input: number
  readonly element: number
  readonly analytic: number
  readonly numeric: number
  /** In units of the tolerance. */
  readonly excess: number
}

/**
 * Checks a gradient against central differences, ∂f/∂x ≈ (f(x + h) − f(x − h)) / 2h, element by element. Choose inputs
 * away from kinks (zeros of `absolute`, ties of `maximum`).
 *
 * @throws Error that names the worst element, both values and how many elements differ
 * @example
 * ```ts
 * await checkGradient({
 *   evaluate: ([x]) => x![0]! ** 3,
 *   gradient: ([x]) => [[3 * x![0]! ** 2]],
 *   inputs: [Float64Array.of(2)],
 * })
 * ```
 */
export async function checkGradient({
  evaluate,
  gradient,
  inputs,
  tolerance = 1e-6,
  step = 1e-5,
  names = [],
}: GradientCheck): Promise<void> {
  const copies = (): Float64Array[] => inputs.map((input) => input.slice())
  const gradients = await gradient(copies())
  const nameOf = (input: number): string => names[input] ?? `input ${input}`
  if (gradients.length !== inputs.length) {
    throw new Error(`checkGradient: ${gradients.length} gradients for ${inputs.length} inputs.`)
  }

  const mismatches: Mismatch[] = []
  let elements = 0
  for (const [input, values] of inputs.entries()) {
    const analytic = gradients[input]!
    if (analytic.length !== values.length) {
      throw new Error(
        `checkGradient: the gradient of ${nameOf(input)} has ${analytic.length} elements, the input has ${values.length}.`,
      )
    }
    for (let element = 0; element < values.length; element++) {
      const distance = step * Math.max(1, Math.abs(values[element]!))
      const at = async (offset: number): Promise<number> => {
        const moved = copies()
        moved[input]![element]! += offset
        return evaluate(moved)
      }
      const numeric = ((await at(distance)) - (await at(-distance))) / (2 * distance)
      const excess = Math.abs(analytic[element]! - numeric) / (tolerance * Math.max(1, Math.abs(numeric)))
      elements++
      // Written so that NaN counts as a mismatch.
      if (!(excess <= 1)) mismatches.push({ input, element, analytic: analytic[element]!, numeric, excess })
    }
  }
  if (mismatches.length === 0) return
  const severity = ({ excess }: Mismatch): number => (Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess)
  const worst = mismatches.reduce((a, b) => (severity(b) > severity(a) ? b : a))
  const { input, element, analytic, numeric } = worst
  throw new Error(
    `checkGradient: ${mismatches.length} of ${elements} derivatives differ. Worst: element ${element} of ${nameOf(input)} ` +
      `(value ${inputs[input]![element]}) has gradient ${analytic}, central differences give ${numeric} ` +
      `(difference ${Math.abs(analytic - numeric).toPrecision(3)}, tolerance ${tolerance}).`,
  )
}
