import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { formatSpec } from '../node.ts'
import { checkShape, type Shape, sameShape } from '../shape.ts'
import { threefryBits } from '../threefry.ts'

/** Attributes of the ops in this file. */
export interface RandomBitsAttributes {
  /** Input a key (u32[2]); gives independent random bits (u32). */
  randomBits: { readonly shape: Shape }
}

export const randomBits: OpDefinition<'randomBits'> = {
  op: 'randomBits',
  shape: ([key], { shape }) => {
    checkShape('random', shape)
    if (key?.dtype !== 'u32' || !sameShape(key.shape, [2])) {
      throw new ShapeError(
        `random: the key must be u32[2], made by randomKey(seed), got ${key ? formatSpec(key) : 'nothing'}.`,
      )
    }
    return [{ shape, dtype: 'u32' }]
  },
  lower: ([key], { shape }) => [threefryBits(key!, shape)],
  vjp: () => [undefined],
}
