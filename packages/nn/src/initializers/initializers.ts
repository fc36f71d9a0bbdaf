import {
  type DType,
  full,
  randomNormal,
  randomUniform,
  type Shape,
  sizeOf,
  type Tensor,
  TesseraError,
} from '@tessera/core'

/**
 * Makes the first value of a parameter. Pure: the same key gives the same numbers on every backend.
 *
 * @param key u32[2], from `randomKey` or `splitKey`
 */
export type Initializer = (key: Tensor, shape: Shape, dtype?: DType) => Tensor

/** How many numbers one output sums over, and how many outputs one input reaches. */
export interface Fans {
  readonly inputs: number
  readonly outputs: number
}

/** All elements equal. */
export function constantInitializer(value: number): Initializer {
  return (_key, shape, dtype = 'f32') => full(shape, value, dtype)
}

/** All elements 0. */
export const zerosInitializer: Initializer = constantInitializer(0)

/** All elements 1. */
export const onesInitializer: Initializer = constantInitializer(1)

/** Normal with a standard deviation, around 0 by default. GPT-2 uses 0.02. */
export function normal(deviation: number, mean = 0): Initializer {
  return (key, shape, dtype = 'f32') => randomNormal(key, shape, mean, deviation).cast(dtype)
}

/** Uniform on [low, high). */
export function uniform(low: number, high: number): Initializer {
  return (key, shape, dtype = 'f32') => randomUniform(key, shape, low, high).cast(dtype)
}

/** erf(√2): the probability of a normal number to lie within two standard deviations. */
const withinTwoDeviations = 0.9544997361036416

/**
 * Normal numbers of which none is further than two standard deviations from 0, as if others had been drawn again. The
 * deviation is that of the untruncated distribution; what is left has 0.8796 of it.
 */
export function truncatedNormal(deviation: number): Initializer {
  return (key, shape, dtype = 'f32') => {
    const probability = randomUniform(key, shape, -withinTwoDeviations, withinTwoDeviations)
    return inverseErrorFunction(probability)
      .multiply(Math.SQRT2 * deviation)
      .cast(dtype)
  }
}

/** Giles 2010, "Approximating the erfinv function", single precision, central region: |x| ≤ 0.9966. */
const inverseErrorCoefficients = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
]

function inverseErrorFunction(x: Tensor): Tensor {
  const w = x.square().negate().log1p().negate().subtract(2.5)
  const [first, ...rest] = inverseErrorCoefficients as [number, ...number[]]
  return rest.reduce((sum, coefficient) => w.multiply(sum).add(coefficient), w.multiply(0).add(first)).multiply(x)
}

export interface ScaledOptions {
  /** Factor of the deviation for the activation that follows: √2 for ReLU, 1 for none or tanh-like ones. */
  readonly gain?: number
  /** By default those of an `[inputs, outputs]` matrix, or of filters `[outputs, inputs / groups, ...window]`. */
  readonly fans?: Fans
}

/** Uniform with variance `gain² · 2 / (inputs + outputs)` (Glorot & Bengio 2010, formula 16). */
export function xavierUniform(options: ScaledOptions = {}): Initializer {
  return scaled(options, 1, ({ inputs, outputs }, gain) => {
    const bound = gain * Math.sqrt(6 / (inputs + outputs))
    return uniform(-bound, bound)
  })
}

/** Normal with variance `gain² · 2 / (inputs + outputs)` (Glorot & Bengio 2010). */
export function xavierNormal(options: ScaledOptions = {}): Initializer {
  return scaled(options, 1, ({ inputs, outputs }, gain) => normal(gain * Math.sqrt(2 / (inputs + outputs))))
}

/** Uniform with variance `gain² / inputs` (He et al. 2015, section 2.2). */
export function kaimingUniform(options: ScaledOptions = {}): Initializer {
  return scaled(options, Math.SQRT2, ({ inputs }, gain) => {
    const bound = gain * Math.sqrt(3 / inputs)
    return uniform(-bound, bound)
  })
}

/** Normal with variance `gain² / inputs` (He et al. 2015, section 2.2). */
export function kaimingNormal(options: ScaledOptions = {}): Initializer {
  return scaled(options, Math.SQRT2, ({ inputs }, gain) => normal(gain / Math.sqrt(inputs)))
}

function scaled(
  options: ScaledOptions,
  defaultGain: number,
  distribution: (fans: Fans, gain: number) => Initializer,
): Initializer {
  return (key, shape, dtype) => {
    const fans = options.fans ?? fansOf(shape)
    return distribution(fans, options.gain ?? defaultGain)(key, shape, dtype)
  }
}

function fansOf(shape: Shape): Fans {
  const [first, second] = shape
  if (shape.length < 2 || !first || !second) {
    throw new TesseraError(
      'INITIALIZER_SHAPE',
      `The number of inputs and outputs of a parameter of shape [${shape.join(', ')}] is not known: only a matrix [inputs, outputs] ` +
        'and filters [outputs, inputs, ...window] tell them. Give them: { fans: { inputs, outputs } }.',
    )
  }
  if (shape.length === 2) return { inputs: first, outputs: second }
  const window = sizeOf(shape.slice(2))
  return { inputs: second * window, outputs: first * window }
}

/**
 * A random matrix with orthogonal columns of length `gain`, or orthogonal rows if it is wide, drawn evenly from all of them (Saxe et al. 2014,
 * section 2). Filters count as a matrix of their first axis by all others.
 *
 * It is the orthogonal factor of the polar decomposition of a normal matrix, found by Newton–Schulz iteration, so it needs products of
 * matrices only.
 */
export function orthogonal(gain = 1): Initializer {
  return (key, shape, dtype = 'f32') => {
    if (shape.length < 2) {
      throw new TesseraError('INITIALIZER_SHAPE', `orthogonal: takes at least two axes, got [${shape.join(', ')}].`)
    }
    const [rows, columns] = [shape[0]!, sizeOf(shape.slice(1))]
    const sides = [Math.min(rows, columns), Math.max(rows, columns)]
    let x = randomNormal(key, sides)
    x = x.divide(x.square().sum().sqrt())
    for (const [a, b, c] of [...new Array<Polynomial>(15).fill(fast), ...new Array<Polynomial>(6).fill(exact)]) {
      const gram = x.matmul(x.transpose())
      const polynomial = c === 0 ? gram.multiply(b) : gram.multiply(b).add(gram.matmul(gram).multiply(c))
      x = x.multiply(a).add(polynomial.matmul(x))
    }
    return (rows > columns ? x.transpose() : x).multiply(gain).reshape(shape).cast(dtype)
  }
}

type Polynomial = readonly [number, number, number]

/** Raises small singular values by a factor of 3.4 each time, and keeps large ones between 0.7 and 1.2 (Jordan et al. 2024). */
const fast: Polynomial = [3.4445, -4.775, 2.0315]

/** Doubles the number of right digits of singular values near 1 each time (Björck & Bowie 1971). */
const exact: Polynomial = [1.5, -0.5, 0]
