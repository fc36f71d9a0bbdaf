import { ShapeError } from '../errors.ts'
import { formatSpec } from '../graph/node.ts'
import { normalizeAxis, type Shape } from '../graph/shape.ts'
import { full } from './create.ts'
import { erfInverse } from './elementwise.ts'
import { where } from './indexing.ts'
import { randomBits, randomNormal, randomUniform, splitKey, unitNode } from './random.ts'
import { argSort } from './sorting.ts'
import { Tensor, type TensorLike } from './tensor.ts'

/** Draws from distributions. All are functions of a key and run on any backend; parameters may be tensors that broadcast to the shape. */

/** Uniform inside (0, 1), so that logarithms are finite. */
function openUnit(key: Tensor, shape: Shape): Tensor {
  return new Tensor(unitNode(key, shape)).add(2 ** -24)
}

/** Exponential numbers of rate 1: −log u. */
export function randomExponential(key: Tensor, shape: Shape, rate: TensorLike = 1): Tensor {
  return openUnit(key, shape).log().negate().divide(rate)
}

/** Gumbel numbers: −log(−log u), with location 0 and scale 1. */
export function randomGumbel(key: Tensor, shape: Shape): Tensor {
  return randomExponential(key, shape).log().negate()
}

/** Laplace numbers: density e^(−|x − location| / scale) / 2 scale. */
export function randomLaplace(key: Tensor, shape: Shape, location: TensorLike = 0, scale: TensorLike = 1): Tensor {
  const centered = openUnit(key, shape).subtract(0.5)
  // 1 − 2|u − ½| is in (0, 1].
  const magnitude = centered
    .abs()
    .multiply(-2)
    .add(1)
    .maximum(2 ** -24)
    .log()
    .negate()
  return magnitude.multiply(centered.sign()).multiply(scale).add(location)
}

/** Logistic numbers: log(u / (1 − u)). */
export function randomLogistic(key: Tensor, shape: Shape, location: TensorLike = 0, scale: TensorLike = 1): Tensor {
  const unit = openUnit(key, shape)
  return unit.log().subtract(unit.negate().log1p()).multiply(scale).add(location)
}

/** Cauchy numbers: tan(π(u − ½)). */
export function randomCauchy(key: Tensor, shape: Shape, location: TensorLike = 0, scale: TensorLike = 1): Tensor {
  const angle = openUnit(key, shape).subtract(0.5).multiply(Math.PI)
  return angle.sin().divide(angle.cos()).multiply(scale).add(location)
}

/** Standard normal numbers between `low` and `high`, by the inverse of the distribution function. */
export function randomTruncatedNormal(key: Tensor, shape: Shape, low = -2, high = 2): Tensor {
  if (!(low < high)) throw new ShapeError(`randomTruncatedNormal: low must be below high, got ${low} and ${high}.`)
  const [first, last] = [low, high].map((bound) => full([], bound / Math.SQRT2).erf()) as [Tensor, Tensor]
  const position = randomUniform(key, shape).multiply(last.subtract(first)).add(first)
  // Rounding may reach ±1, where the inverse is infinite.
  return erfInverse(position).multiply(Math.SQRT2).maximum(low).minimum(high)
}

/**
 * Indices (i32) drawn with probabilities softmax(logits) along an axis, by the Gumbel-max method.
 *
 * @param logits `[..., classes, ...]`
 * @param shape of axes in front: `[...shape, ...the other axes of logits]`
 */
export function randomCategorical(key: Tensor, logits: Tensor, axis = -1, shape: Shape = []): Tensor {
  const at = normalizeAxis('randomCategorical', axis, logits.rank)
  const noise = randomGumbel(key, [...shape, ...logits.shape])
  return logits.add(noise).argMax(at + shape.length)
}

/** The numbers 0 to `length` − 1 in random order (i32). */
export function randomPermutation(key: Tensor, length: number): Tensor {
  return argSort(randomBits(key, [length]))
}

/** The slices of a tensor along an axis in random order. */
export function shuffle(key: Tensor, x: Tensor, axis = 0): Tensor {
  const at = normalizeAxis('shuffle', axis, x.rank)
  return x.gather(randomPermutation(key, x.shape[at]!), at)
}

/** Rounds of rejection: at least 95 % of the candidates are accepted, so that after eight fewer than one in 10¹⁰ is left over. */
const gammaRounds = 8

/**
 * Gamma numbers of a shape parameter and scale 1: Marsaglia & Tsang, "A simple method for generating gamma variables" (2000). A fixed number of
 * candidates is drawn, so that programs need no loop; the last one is taken where all were refused. No gradient flows to the parameter.
 *
 * @param concentration the shape parameter, above 0; broadcasts to `shape`
 */
export function randomGamma(key: Tensor, concentration: TensorLike, shape: Shape): Tensor {
  const [boostKey, ...keys] = splitKey(key, 2 * gammaRounds + 1) as [Tensor, ...Tensor[]]
  const alpha = full32(concentration, shape).stopGradient()
  // Γ(α) is Γ(α + 1) · u^(1/α), which keeps the method to α ≥ 1.
  const isSmall = alpha.less(1)
  const d = where(isSmall, alpha.add(1), alpha).subtract(1 / 3)
  const c = d.multiply(9).sqrt().reciprocal()
  let accepted: Tensor | undefined
  let value: Tensor | undefined
  for (let round = 0; round < gammaRounds; round++) {
    const x = randomNormal(keys[2 * round]!, shape)
    const cube = x.multiply(c).add(1)
    const v = cube.multiply(cube).multiply(cube)
    const bound = x
      .square()
      .multiply(0.5)
      .add(d.multiply(v.negate().add(1).add(v.maximum(1e-30).log())))
    const passes = v.greater(0).and(
      openUnit(keys[2 * round + 1]!, shape)
        .log()
        .less(bound),
    )
    const candidate = d.multiply(v.maximum(1e-30))
    value = value ? where(accepted!, value, candidate) : candidate
    accepted = accepted ? accepted.or(passes) : passes
  }
  const boost = openUnit(boostKey, shape).log().divide(alpha).exp()
  return where(isSmall, value!.multiply(boost), value!)
}

function full32(value: TensorLike, shape: Shape): Tensor {
  return typeof value === 'number' ? full(shape, value) : value.cast('f32').expand(shape)
}

/** Beta numbers, as a share of two gamma numbers. */
export function randomBeta(key: Tensor, first: TensorLike, second: TensorLike, shape: Shape): Tensor {
  const [a, b] = splitKey(key) as [Tensor, Tensor]
  const x = randomGamma(a, first, shape)
  return x.divide(x.add(randomGamma(b, second, shape)))
}

/** Vectors of shares that sum to 1, as shares of gamma numbers. */
export function randomDirichlet(key: Tensor, concentration: Tensor, shape: Shape = []): Tensor {
  if (concentration.rank === 0)
    throw new ShapeError(
      `randomDirichlet: takes at least one axis of concentrations, got ${formatSpec(concentration)}.`,
    )
  const draws = randomGamma(key, concentration, [...shape, ...concentration.shape])
  return draws.divide(draws.sum(-1, { keepDims: true }))
}

/** Chi-squared numbers. */
export function randomChiSquared(key: Tensor, degrees: TensorLike, shape: Shape): Tensor {
  const half = typeof degrees === 'number' ? degrees / 2 : degrees.multiply(0.5)
  return randomGamma(key, half, shape).multiply(2)
}

/** Student's t numbers. */
export function randomStudent(key: Tensor, degrees: TensorLike, shape: Shape): Tensor {
  const [a, b] = splitKey(key) as [Tensor, Tensor]
  const spread = randomChiSquared(b, degrees, shape).divide(degrees).sqrt()
  return randomNormal(a, shape).divide(spread)
}

/**
 * Softmax of logits with Gumbel noise, a relaxed categorical draw (Jang et al. 2016; Maddison et al. 2016). With `hard` the value is the one-hot
 * draw and the gradient that of the softmax.
 */
export function gumbelSoftmax(
  key: Tensor,
  logits: Tensor,
  temperature: TensorLike = 1,
  { axis = -1, hard = false }: { readonly axis?: number; readonly hard?: boolean } = {},
): Tensor {
  const soft = logits.add(randomGumbel(key, logits.shape)).divide(temperature).softmax(axis)
  if (!hard) return soft
  const largest = soft.equal(soft.max(axis, { keepDims: true })).cast(soft.dtype)
  return soft.add(largest.subtract(soft).stopGradient())
}
