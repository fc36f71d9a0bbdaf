import { type FormatPolicy, type FormatPolicyOptions, formatPolicy, TesseraError } from '@tessera/core'
import {
  blockFormat,
  type FlexpointPolicy,
  type FloatPolicy,
  flexpoint,
  floatPolicy,
} from '@tessera/numerics-flexpoint'

export const formatNames = 'f32, flexN+M, f16, bf16, mxfp8, mxfp6, mxfp4, mxint8'

/** The policy of a format's name; none for f32. */
export function policyOf(format: string, options: Pick<FormatPolicyOptions, 'storage'> = {}): FormatPolicy | undefined {
  const flex = /^flex(\d+)\+(\d+)$/.exec(format)
  if (flex) return flexpoint({ bits: Number(flex[1]), exponentBits: Number(flex[2]), ...options })
  switch (format) {
    case 'f32':
      return undefined
    case 'f16':
    case 'bf16':
      return floatPolicy(format, options)
    case 'mxfp8':
    case 'mxfp6':
    case 'mxfp4':
    case 'mxint8':
      // Steps this coarse lose small updates, so weights and momentum stay wide.
      return formatPolicy(blockFormat(format), { except: ({ kind }) => kind === 'update' })
    default:
      throw new TesseraError('UNKNOWN_FORMAT', `There is no format '${format}'. Use ${formatNames}.`)
  }
}

export const isFlex = (policy: FormatPolicy | undefined): policy is FlexpointPolicy =>
  policy?.name.startsWith('flex') ?? false

export const isFloatPolicy = (policy: FormatPolicy | undefined): policy is FloatPolicy =>
  policy?.name === 'f16' || policy?.name === 'bf16'

/** What a format did to the values of a run; shares of all uses of all tensors. */
export interface FormatFigures {
  /** Share of uses in which a value overflowed. */
  readonly overflowShare?: number
  /** Mean number of bits that the largest mantissa took, sign included; flex formats only. */
  readonly usedBits?: number
  /** Share of the elements of gradients that became zero; f16 and bf16 only. */
  readonly flushedGradients?: number
}

export async function formatFigures(policy: FormatPolicy | undefined): Promise<FormatFigures> {
  if (isFlex(policy)) {
    const places = (await policy.report()).flat().filter(({ kind }) => kind !== 'initial')
    return {
      overflowShare: weighted(places, ({ overflows, uses }) => overflows / uses),
      usedBits: weighted(places, ({ usedBits }) => usedBits),
    }
  }
  if (isFloatPolicy(policy)) {
    const places = (await policy.report()).flat().filter(({ kind }) => kind !== 'initial')
    const gradients = places.filter(({ isGradient }) => isGradient)
    // Large tensors hold most of the elements: they count by their size.
    const elements = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1)
    const size = gradients.reduce((sum, { shape, uses }) => sum + elements(shape) * uses, 0)
    return {
      overflowShare: weighted(places, ({ overflows, uses }) => overflows / uses),
      flushedGradients:
        gradients.reduce((sum, { shape, flushed, uses }) => sum + flushed * elements(shape) * uses, 0) / size,
    }
  }
  return {}
}

/** Mean over uses. */
function weighted<Place extends { readonly uses: number }>(
  places: readonly Place[],
  value: (place: Place) => number,
): number {
  const used = places.filter(({ uses }) => uses > 0)
  const uses = used.reduce((sum, place) => sum + place.uses, 0)
  return used.reduce((sum, place) => sum + value(place) * place.uses, 0) / uses
}
