import { TesseraError } from '../errors.ts'
import type { DType } from '../graph/format.ts'
import { isReduction } from '../graph/kinds.ts'
import type { Node } from '../graph/node.ts'
import type { ElementwiseName, FusedBody, FusedInstruction, OpAttributes } from '../graph/operations.ts'
import { rowMajorStrides, sameShape, sizeOf } from '../graph/shape.ts'
import { isRowMajor, reshapeView, type View } from '../graph/view.ts'
import type { Group } from './groups.ts'
import type { Resolved, ViewResolver } from './resolve.ts'

/** A value in memory and how the loops walk over it. */
export interface BodyOperand {
  readonly node: Node
  readonly dtype: DType
  /** Over the body's domain. */
  readonly view: View
}

/** A loop nest with its operands. */
export interface Loop<Walked extends { readonly view: View }> {
  readonly body: FusedBody
  readonly inputs: readonly Walked[]
  readonly outputs: readonly Walked[]
}

/**
 * The loop nest of a group, with as few axes as can be.
 *
 * @param recomputed nodes of other groups that this one computes for itself
 * @param stored nodes of the group whose values go to memory
 * @param place how a value lies in its buffer: a view of the node's shape
 */
export function buildBody(...given: Parameters<typeof buildLoop>): Loop<BodyOperand> {
  return collapse(buildLoop(...given))
}

/** As `buildBody`, over the axes that the group's boundaries make. */
export function buildLoop(
  group: Group,
  recomputed: ReadonlySet<Node>,
  views: ViewResolver,
  stored: readonly Node[],
  place: (node: Node) => View,
): Loop<BodyOperand> {
  const domain = domainOf(group)
  const zones = zonesOf(group, domain)
  const instructions: FusedInstruction[] = []
  const positions = new Map<string, number>()
  const inputs: BodyOperand[] = []

  const emit = (key: string, make: () => FusedInstruction): number => {
    const known = positions.get(key)
    if (known !== undefined) return known
    instructions.push(make())
    positions.set(key, instructions.length - 1)
    return instructions.length - 1
  }
  const overDomain = (view: View): View => {
    const axes = sizeOf(view.shape) === group.size ? domain.length : zones.rowStart
    // Row-major is row-major over any axes, also over some that the view's own do not divide into.
    return spread(
      isRowMajor(view)
        ? { ...view, shape: domain.slice(0, axes), strides: rowMajorStrides(domain.slice(0, axes)) }
        : view,
      domain,
      axes,
    )
  }
  const operand = ({ base, view }: Resolved): number => {
    if (group.nodes.has(base) || recomputed.has(base)) return positions.get(`n${base.id}`)!
    if (base.op === 'constant') {
      const { value, dtype } = base.attributes as OpAttributes['constant']
      return emit(`c${base.id}`, () => ({ kind: 'constant', value, dtype }))
    }
    const { strides, offset } = overDomain(base.op === 'iota' ? view : throughPlace(view, place(base)))
    const key = `${base.id}@${offset}:${strides.join(',')}`
    return emit(key, () => {
      if (base.op === 'iota') return { kind: 'iota', strides, offset, dtype: base.dtype }
      inputs.push({ node: base, dtype: base.dtype, view: { shape: domain, strides, offset } })
      return { kind: 'load', input: inputs.length - 1, dtype: base.dtype }
    })
  }

  for (const node of [...group.nodes, ...recomputed].sort((a, b) => a.id - b.id)) {
    if (views.isCopy(node)) {
      // A copy reads its input as it lies and is stored in the order of its own shape.
      const source = views.resolve(node.inputs[0]!)
      positions.set(`n${node.id}`, operand(source))
      continue
    }
    const operands = node.inputs.map((input) => operand(views.resolve(input)))
    emit(`n${node.id}`, () =>
      isReduction(node)
        ? { kind: 'reduce', op: node.op, argument: operands[0]!, dtype: node.dtype }
        : { kind: 'compute', op: node.op as ElementwiseName, arguments: operands, dtype: node.dtype },
    )
  }

  const outputs = stored.map((node): BodyOperand => {
    const own = place(node)
    const view = views.isCopy(node) ? reshapeView(own, node.inputs[0]!.shape)! : own
    const reduces = group.kind === 'column' && isReduction(node)
    const over = reduces ? withReducedAxes(view, domain, zones) : overDomain(view)
    return { node, dtype: node.dtype, view: over }
  })
  const raw: FusedBody = {
    domain,
    kind: group.kind as FusedBody['kind'],
    rowAxes: group.kind === 'row' ? domain.length - zones.rowStart : 0,
    reducedStart: group.kind === 'column' ? zones.rowStart : 0,
    reducedEnd: group.kind === 'column' ? zones.rowEnd : 0,
    instructions,
    stores: stored.map((node) => positions.get(`n${node.id}`)!),
  }
  return { body: raw, inputs, outputs }
}

/** Extents between the group's boundaries, outermost first. */
function domainOf(group: Group): number[] {
  const domain: number[] = []
  let inner = 1
  for (const boundary of group.boundaries) {
    if (boundary > inner) domain.unshift(boundary / inner)
    inner = boundary
  }
  return domain
}

/** The axes of the domain that make up a row, or that a column group reduces. */
interface Zones {
  readonly rowStart: number
  readonly rowEnd: number
}

function zonesOf(group: Group, domain: readonly number[]): Zones {
  const axisAt = (trailing: number): number => {
    let axis = domain.length
    for (let product = 1; product < trailing; ) product *= domain[--axis]!
    return axis
  }
  if (group.kind === 'row') return { rowStart: axisAt(group.rowLength), rowEnd: domain.length }
  if (group.kind === 'column') return { rowStart: axisAt(group.rowLength * group.inner), rowEnd: axisAt(group.inner) }
  return { rowStart: domain.length, rowEnd: domain.length }
}

/** A view over the first `axes` axes of a domain that refines its shape; the axes after them have stride 0. */
function spread(view: View, domain: readonly number[], axes: number): View {
  const strides = new Array<number>(domain.length).fill(0)
  let axis = axes - 1
  for (let i = view.shape.length - 1; i >= 0; i--) {
    let left = view.shape[i]!
    let stride = view.strides[i]!
    while (left > 1) {
      strides[axis] = stride
      stride *= domain[axis]!
      left /= domain[axis]!
      axis--
    }
  }
  return { shape: domain, strides, offset: view.offset }
}

/** The view of a column reduction's result, with stride 0 over the reduced axes. */
function withReducedAxes(view: View, domain: readonly number[], { rowStart, rowEnd }: Zones): View {
  const kept = [...domain.slice(0, rowStart), ...domain.slice(rowEnd)]
  const { strides, offset } = spread(view, kept, kept.length)
  const reduced = new Array<number>(rowEnd - rowStart).fill(0)
  return { shape: domain, strides: [...strides.slice(0, rowStart), ...reduced, ...strides.slice(rowStart)], offset }
}

/** A view of a node seen through the place where the node lies. */
export function throughPlace(view: View, place: View): View {
  if (isRowMajor(view) && view.offset === 0 && sameShape(view.shape, place.shape)) return place
  if (!isRowMajor(place))
    throw new TesseraError('INTERNAL', 'a value that was written in place of its copy has another reader.')
  return { ...view, offset: view.offset + place.offset }
}

/** Joins neighbouring axes that every operand walks through in one stride, so that loops are few and long. */
export function collapse<Walked extends { readonly view: View }>({
  body,
  inputs,
  outputs,
}: Loop<Walked>): Loop<Walked> {
  const { domain } = body
  const walks = [...inputs, ...outputs].map(({ view }) => view.strides)
  for (const instruction of body.instructions) if (instruction.kind === 'iota') walks.push(instruction.strides)
  const rowStart = domain.length - body.rowAxes
  const zone = (axis: number) => (axis < body.reducedStart ? 0 : axis < body.reducedEnd ? 1 : axis < rowStart ? 2 : 3)
  /** For each new axis, the old axes that it joins. */
  const joined: number[][] = []
  for (let axis = 0; axis < domain.length; axis++) {
    const last = joined.at(-1)?.at(-1)
    const continues =
      last !== undefined &&
      zone(last) === zone(axis) &&
      walks.every((strides) => strides[last] === strides[axis]! * domain[axis]!)
    if (continues) joined.at(-1)!.push(axis)
    else joined.push([axis])
  }
  const extents = joined.map((axes) => axes.reduce((product, axis) => product * domain[axis]!, 1))
  const strides = (old: readonly number[]) => joined.map((axes) => old[axes.at(-1)!]!)
  const operand = (old: Walked): Walked => ({
    ...old,
    view: { shape: extents, strides: strides(old.view.strides), offset: old.view.offset },
  })
  const count = (end: number) => joined.filter((axes) => axes[0]! < end).length
  return {
    body: {
      ...body,
      domain: extents,
      rowAxes: joined.length - count(rowStart),
      reducedStart: count(body.reducedStart),
      reducedEnd: count(body.reducedEnd),
      instructions: body.instructions.map((instruction) =>
        instruction.kind === 'iota' ? { ...instruction, strides: strides(instruction.strides) } : instruction,
      ),
    },
    inputs: inputs.map(operand),
    outputs: outputs.map(operand),
  }
}
