import type { Node } from '../graph/node.ts'
import type { PackedArgument } from './policy.ts'
import { Tensor } from './tensor.ts'

/** The packed arguments of a traced function, by the number of the argument and of the output. */
export interface Packing {
  readonly inputs: ReadonlyMap<number, PackedArgument>
  readonly outputs: ReadonlyMap<number, PackedArgument>
}

export function packingOf(packed: readonly PackedArgument[], placeholders: readonly Node[]): Packing {
  return {
    inputs: new Map(packed.map((argument) => [placeholders.indexOf(argument.argument), argument])),
    outputs: new Map(packed.map((argument) => [argument.output, argument])),
  }
}

/** For the values that callers see: the stored form that they are computed from, and who stored it. */
const origins = new WeakMap<Node, { readonly stored: Node; readonly owner: PackedArgument }>()

/** Whether a value of argument `index` is what the same function stored, so that it need not be computed. */
export function isPackedBy(packing: Packing | undefined, index: number, node: Node): boolean {
  const owner = packing?.inputs.get(index)
  return owner !== undefined && origins.get(node)?.owner === owner
}

/** What the program reads: stored forms in the place of values. */
export function packedInputs({ inputs }: Packing, values: readonly Node[]): readonly Node[] {
  if (inputs.size === 0) return values
  return values.map((node, i) => {
    const owner = inputs.get(i)
    if (!owner) return node
    const origin = origins.get(node)
    return origin?.owner === owner ? origin.stored : owner.pack(new Tensor(node)).realize().node
  })
}

/** An output as callers see it. */
export function unpackedOutput({ outputs }: Packing, index: number, leaf: Node): Tensor {
  const owner = outputs.get(index)
  if (!owner) return new Tensor(leaf)
  const value = owner.unpack(new Tensor(leaf))
  origins.set(value.node, { stored: leaf, owner })
  return value
}
