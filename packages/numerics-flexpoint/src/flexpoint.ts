import {
  concatenate,
  type FormatPolicy,
  type FormatPolicyOptions,
  formatPolicy,
  full,
  type RoundedPlace,
  randomUniform,
  range,
  stack,
  type Tensor,
  type TensorFormat,
  where,
} from '@tessera/core'
import { type AutoflexOptions, autoflexOptions } from './autoflex.ts'
import { largestMantissa, smallestScale } from './encoding.ts'
import { ceilLog2, powerOfTwo } from './powers.ts'

/** Places of a tensor's state; the recent values of Φ follow, the latest first. */
const slots = ['scale', 'largest', 'remembered', 'overflows', 'uses', 'unusable', 'usedBits'] as const

/**
 * flexN+M as a format: one scale κ for each tensor, chosen by Autoflex before the tensor is computed. The largest mantissa comes out of the same
 * loop that rounds.
 */
export function flexFormat(options: Partial<AutoflexOptions> = {}): TensorFormat {
  const settings = autoflexOptions(options)
  const { bits, exponentBits, length, rounding, seed } = settings
  const largest = largestMantissa(bits)
  // Mantissas of more bits take as much memory as f32.
  const dtype = bits <= 8 ? 'i8' : bits <= 16 ? 'i16' : undefined
  const mantissasOf = (x: Tensor, scale: Tensor, state: Tensor, place: number) =>
    rounded(x.divide(scale), state, place)
      .minimum(largest)
      .maximum(-largest - 1)
  const rounded = (exact: Tensor, state: Tensor, place: number): Tensor => {
    if (rounding === 'half-to-even') return exact.round()
    // The number of uses makes the numbers of every call new ones, and those of a resumed run the same.
    const words = [
      full([], Math.imul(seed + 1, 0x9e3779b1) >>> 0, 'u32').add(place),
      state.select(0, slots.indexOf('uses')).cast('u32'),
    ]
    const below = exact.floor()
    return below.add(randomUniform(stack(words), exact.shape).less(exact.subtract(below)).cast(exact.dtype))
  }
  return {
    name: `flex${bits}+${exponentBits}`,
    bits,
    stateSize: slots.length + length,
    initialize: (x) => {
      const scale = initialScale(x.abs().max().cast('f32'), settings)
      return concatenate([scale.reshape([1]), full([slots.length + length - 1], 0)])
    },
    round: (x, state, place = 0) => {
      const scale = state!.select(0, 0).cast(x.dtype)
      const mantissas = mantissasOf(x, scale, state!, place)
      const rows = mantissas.abs().minimum(largest).max(-1)
      return {
        value: mantissas.multiply(scale),
        ...(dtype && { stored: mantissas.cast(dtype) }),
        statistic: rows.rank > 0 ? rows.max() : rows,
      }
    },
    ...(dtype && {
      storage: { dtype, decode: (stored, state) => stored.cast('f32').multiply(state!.select(0, 0)) },
    }),
    update: (states, statistics) => nextStates(states, statistics, settings),
  }
}

/** Algorithm 1 without running the op anew: Γ follows from the largest magnitude. */
function initialScale(magnitude: Tensor, { bits, exponentBits, clamp }: AutoflexOptions): Tensor {
  const largest = largestMantissa(bits)
  let scale = full([], 1)
  let isDone = full([], 0, 'bool')
  // Clamped scales settle in four runs, all others in ten or not at all.
  for (let run = 0; run < (clamp ? 4 : 10); run++) {
    const mantissa = magnitude.divide(scale).round().minimum(largest)
    const isFull = mantissa.greaterEqual(largest)
    const isSmall = mantissa.less(2 ** (bits - 2))
    const up = scale.multiply(2 ** Math.floor((bits - 1) / 2))
    const down = scale.multiply(powerOfTwo(ceilLog2(mantissa.maximum(1)).subtract(bits - 2)))
    const changed = where(isFull, up, where(isSmall, down, scale))
    const next = clamp ? changed.maximum(smallestScale(exponentBits)).minimum(1) : changed
    scale = where(isDone, scale, next)
    const isPrecise = mantissa.greater(2 ** (Math.floor((bits - 1) / 2) - 2))
    isDone = isDone.or(isFull.not().and(isSmall.not().or(isPrecise)))
  }
  // Nothing but zeros, or not a number: a scale of 1.
  return where(magnitude.greater(0), scale, 1)
}

/** Algorithm 2 for all tensors at once. */
function nextStates(states: Tensor, statistics: Tensor, options: AutoflexOptions): Tensor {
  const { bits, exponentBits, margin, deviations, offset, length, clamp } = options
  const column = (slot: (typeof slots)[number]) => states.select(1, slots.indexOf(slot))
  const [scale, uses] = [column('scale'), column('uses')]
  const recent = states.slice(1, slots.length)
  const isUsed = statistics.less(0).not()
  // NaN and infinity are larger than any mantissa, or not comparable.
  const isUsable = statistics.greaterEqual(0).and(statistics.less(2 ** bits))
  const overflows = isUsable.and(statistics.greaterEqual(largestMantissa(bits)))
  const magnitude = where(overflows, statistics.multiply(2), statistics).multiply(scale)
  const remembered = where(overflows, 0, column('remembered')).add(1).minimum(length)
  const history = concatenate([magnitude.unsqueeze(1), recent.slice(1, 0, -1)], 1)
  const counts = range(length).cast('f32').less(remembered.unsqueeze(1))
  const kept = where(counts, history, 0)
  const mean = kept.sum(1).divide(remembered)
  const variance = where(counts, history.subtract(mean.unsqueeze(1)).square(), 0)
    .sum(1)
    .divide(remembered)
  const predicted = kept.max(1).add(variance.sqrt().multiply(deviations)).add(scale.multiply(offset)).multiply(margin)
  const free = powerOfTwo(
    ceilLog2(predicted)
      .subtract(bits - 1)
      .maximum(-126)
      .minimum(127),
  )
  const next = clamp ? free.maximum(smallestScale(exponentBits)).minimum(1) : free
  const usedBits = statistics.maximum(1).log().divide(Math.LN2).ceil().add(1)
  const counted = stack(
    [
      next,
      statistics,
      remembered,
      column('overflows').add(overflows.cast('f32')),
      uses.add(1),
      column('unusable'),
      column('usedBits').add(usedBits),
    ],
    1,
  )
  const after = concatenate([counted, history], 1)
  const unusable = isUsed.and(isUsable.not()).cast('f32')
  const at = range(states.shape[1]!).equal(slots.indexOf('unusable')).cast('f32')
  return where(isUsable.unsqueeze(1), after, states.add(unusable.unsqueeze(1).multiply(at)))
}

/** What Autoflex knows of one tensor. */
export interface FlexReport extends RoundedPlace {
  readonly scale: number
  /** Γ, the largest mantissa of the last use. */
  readonly largest: number
  readonly uses: number
  /** Uses in which a mantissa saturated. */
  readonly overflows: number
  /** Uses in which the tensor held NaN or infinities: its statistics did not change. */
  readonly unusable: number
  /** Mean of the bits, sign included, that the largest mantissa took. */
  readonly usedBits: number
  /** What the scale was chosen for: χ rounded up to a power of two. */
  readonly predicted: number
}

export interface FlexpointPolicy extends FormatPolicy {
  /** One entry for each tensor that is rounded, for each function in turn. */
  report(): Promise<FlexReport[][]>
}

/**
 * Trains in flexN+M: hand it to `jit`, or to `trainingStep` of `@tessera/nn`. The first call initialises the scales, and is compiled apart.
 *
 * @throws TesseraError `FLEX_SIZES` for bits outside 8 to 24 or exponent bits outside 1 to 8
 *
 * @example
 * ```ts
 * import { jit, tensor, type Tensor } from '@tessera/core'
 * import { flexpoint } from '@tessera/numerics-flexpoint'
 * const policy = flexpoint({ bits: 16, exponentBits: 5 })
 * const product = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy })
 * await product(tensor([[0.1, 0.2]]), tensor([[1, 2], [3, 4]])).data()
 * const [places] = await policy.report()
 * console.log(policy.name, places!.map(({ op, overflows }) => `${op} ${overflows}`)) // flex16+5 ['leaf 0', 'leaf 0', 'matmul 0']
 * ```
 */
export function flexpoint(options: Partial<AutoflexOptions> & FormatPolicyOptions = {}): FlexpointPolicy {
  const { except, storage, keepsWide, ...sizes } = options
  const format = flexFormat(sizes)
  const policy = formatPolicy(format, {
    ...(except && { except }),
    ...(storage !== undefined && { storage }),
    ...(keepsWide !== undefined && { keepsWide }),
  })
  const { bits } = autoflexOptions(sizes)
  const report = () =>
    Promise.all(
      policy.groups.map(async ({ places, states }) => {
        const data = states ? await states.data() : undefined
        return places.map((place): FlexReport => {
          const value = (slot: (typeof slots)[number]) =>
            data?.[place.index * format.stateSize! + slots.indexOf(slot)] ?? 0
          const [scale, uses] = [value('scale'), value('uses')]
          return {
            ...place,
            scale,
            largest: value('largest'),
            uses,
            overflows: value('overflows'),
            unusable: value('unusable'),
            usedBits: uses > 0 ? value('usedBits') / uses : 0,
            predicted: scale * 2 ** (bits - 1),
          }
        })
      }),
    )
  return {
    ...policy,
    get groups() {
      return policy.groups
    },
    report,
  }
}
