import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { type DType, promote } from '../graph/format.ts'
import { formatSpec } from '../graph/node.ts'
import { sizeOf } from '../graph/shape.ts'
import { Tensor } from './tensor.ts'

/** A tensor whose axes have names. Names of axes under an ellipsis are numbers, counted from the last. */
interface Labelled {
  readonly value: Tensor
  readonly labels: readonly string[]
}

/**
 * Einstein's summation: labels that are not in the result are summed over. Pairs of operands are contracted by matrix products, those with
 * the smallest results first. `...` stands for axes that broadcast; without `->` the result has the labels that occur once, in alphabetical
 * order.
 *
 * @example
 * ```ts
 * import { einsum, ones } from '@tessera/core'
 * const scores = einsum('bqhd,bkhd->bhqk', ones([2, 5, 3, 4]), ones([2, 7, 3, 4]))
 * console.log(scores.shape) // [2, 3, 5, 7]
 * ```
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const { terms, result } = parse(equation, operands)
  const dtype = operands.reduce<DType>((format, x) => promote(format, x.dtype), operands[0]!.dtype)
  checkExtents(equation, terms)
  let pending = terms.map((term) => diagonals({ ...term, value: term.value.cast(dtype) }))
  while (pending.length > 1) {
    const [i, j] = cheapestPair(pending, result)
    const others = pending.filter((_, k) => k !== i && k !== j)
    const needed = new Set([...result, ...others.flatMap(({ labels }) => labels)])
    pending = [...others, contract(pending[i]!, pending[j]!, needed)]
  }
  return arrange(sumOut(pending[0]!, new Set(result)), result)
}

function parse(equation: string, operands: readonly Tensor[]): { terms: Labelled[]; result: string[] } {
  const text = equation.replaceAll(' ', '')
  const fail = (why: string): never => {
    throw new ShapeError(`einsum: '${equation}' ${why}; the operands are ${operands.map(formatSpec).join(', ')}.`)
  }
  const [left, right, ...rest] = text.split('->') as [string, string | undefined, ...string[]]
  const sources = left.split(',')
  if (rest.length > 0) fail('has more than one arrow')
  if (operands.length === 0 || sources.length !== operands.length)
    fail(`has ${sources.length} terms for ${operands.length} operands`)
  let widest = 0
  const terms = sources.map((source, i): Labelled => {
    const value = operands[i]!
    const [before, after, ...more] = source.split('...') as [string, string | undefined, ...string[]]
    if (more.length > 0 || !/^[A-Za-z]*$/.test(before + (after ?? '')))
      fail(`has a term '${source}' that is not letters with at most one ellipsis`)
    const named = before.length + (after?.length ?? 0)
    const extra = value.rank - named
    if (extra < 0 || (after === undefined && extra > 0)) fail(`gives ${named} labels to ${formatSpec(value)}`)
    widest = Math.max(widest, extra)
    return { value, labels: [...before, ...ellipsis(extra), ...(after ?? '')] }
  })
  const used = terms.flatMap(({ labels }) => labels)
  if (right === undefined) {
    const once = [...new Set(used)].filter(
      (label) => /[A-Za-z]/.test(label) && used.indexOf(label) === used.lastIndexOf(label),
    )
    return { terms, result: [...ellipsis(widest), ...once.sort()] }
  }
  const [before, after, ...more] = right.split('...') as [string, string | undefined, ...string[]]
  const result = [...before, ...(after === undefined ? [] : ellipsis(widest)), ...(after ?? '')]
  if (more.length > 0 || new Set(result).size !== result.length) fail('repeats a label in its result')
  const unknown = result.find((label) => !used.includes(label))
  if (unknown !== undefined) fail(`has '${unknown}' in its result but in no term`)
  return { terms, result }
}

const ellipsis = (count: number): string[] => Array.from({ length: count }, (_, i) => String(count - 1 - i))

function checkExtents(equation: string, terms: readonly Labelled[]): void {
  const extents = new Map<string, number>()
  for (const { value, labels } of terms) {
    labels.forEach((label, axis) => {
      const extent = value.shape[axis]!
      const known = extents.get(label) ?? 1
      if (known !== extent && known !== 1 && extent !== 1)
        throw new ShapeError(`einsum: '${equation}': label '${label}' has extents ${known} and ${extent}.`)
      extents.set(label, known === 1 ? extent : known)
    })
  }
}

/** A label that stands twice in one term means its diagonal. */
function diagonals({ value, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, axis) => labels.indexOf(label) < axis)
  if (second < 0) return { value, labels }
  const first = labels.indexOf(labels[second]!)
  const isDiagonal = new Tensor(
    build.binary('equal', build.axisIndex(value.shape, first), build.axisIndex(value.shape, second)),
  )
  const kept = new Tensor(build.where(isDiagonal.node, value.node, 0)).sum(second)
  return diagonals({ value: kept, labels: labels.filter((_, axis) => axis !== second) })
}

/** The pair whose contraction has the fewest elements. */
function cheapestPair(terms: readonly Labelled[], result: readonly string[]): [number, number] {
  let best: [number, number] = [0, 1]
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < terms.length; i++) {
    for (let j = i + 1; j < terms.length; j++) {
      const others = terms.filter((_, k) => k !== i && k !== j).flatMap(({ labels }) => labels)
      const extents = new Map<string, number>()
      for (const { value, labels } of [terms[i]!, terms[j]!])
        labels.forEach((label, axis) => {
          extents.set(label, Math.max(extents.get(label) ?? 1, value.shape[axis]!))
        })
      const kept = [...extents].filter(([label]) => result.includes(label) || others.includes(label))
      const size = sizeOf(kept.map(([, extent]) => extent))
      if (size < least) {
        least = size
        best = [i, j]
      }
    }
  }
  return best
}

/** Sums over the axes that nothing needs any more. */
function sumOut({ value, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = labels.flatMap((label, axis) => (needed.has(label) ? [] : [axis]))
  if (axes.length === 0) return { value, labels }
  return { value: value.sum(axes), labels: labels.filter((label) => needed.has(label)) }
}

/** The axes in another order; labels that are missing become axes of extent 1. */
function arrange({ value, labels }: Labelled, order: readonly string[]): Tensor {
  const present = order.filter((label) => labels.includes(label))
  const moved = value.transpose(present.map((label) => labels.indexOf(label)))
  return moved.reshape(order.map((label) => (labels.includes(label) ? value.shape[labels.indexOf(label)]! : 1)))
}

/** A batched matrix product: labels in both and needed are batches, those in both and not needed are summed over. */
function contract(a: Labelled, b: Labelled, needed: ReadonlySet<string>): Labelled {
  const left = sumOut(a, new Set([...needed, ...b.labels]))
  const right = sumOut(b, new Set([...needed, ...a.labels]))
  const extent = ({ value, labels }: Labelled, label: string) => value.shape[labels.indexOf(label)]!
  const shared = left.labels.filter((label) => right.labels.includes(label))
  // An axis of extent 1 broadcasts, so it can only be summed with the other by hand.
  const isEven = (label: string) => extent(left, label) === extent(right, label)
  const summed = shared.filter((label) => !needed.has(label) && isEven(label))
  const uneven = shared.filter((label) => !needed.has(label) && !isEven(label))
  const batches = [...shared.filter((label) => needed.has(label)), ...uneven]
  const rows = left.labels.filter((label) => !shared.includes(label))
  const columns = right.labels.filter((label) => !shared.includes(label))
  const sizes = (side: Labelled, labels: readonly string[]) => labels.map((label) => extent(side, label))
  const [batchLeft, batchRight] = [sizes(left, batches), sizes(right, batches)]
  const leftMatrix = arrange(left, [...batches, ...rows, ...summed]).reshape([
    ...batchLeft,
    sizeOf(sizes(left, rows)),
    sizeOf(sizes(left, summed)),
  ])
  const rightMatrix = arrange(right, [...batches, ...summed, ...columns]).reshape([
    ...batchRight,
    sizeOf(sizes(right, summed)),
    sizeOf(sizes(right, columns)),
  ])
  const isProduct = summed.length > 0 || (rows.length > 0 && columns.length > 0)
  const product = isProduct ? leftMatrix.matmul(rightMatrix) : leftMatrix.multiply(rightMatrix)
  const shape = [
    ...batches.map((_, i) => Math.max(batchLeft[i]!, batchRight[i]!)),
    ...sizes(left, rows),
    ...sizes(right, columns),
  ]
  return sumOut({ value: product.reshape(shape), labels: [...batches, ...rows, ...columns] }, needed)
}
