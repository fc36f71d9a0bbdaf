import { TesseraError } from '../../errors.ts'
import { isFloat, type TypedArray } from '../../graph/format.ts'
import { formatShape, type Shape, sameShape } from '../../graph/shape.ts'
import type { View } from '../../graph/view.ts'
import type { ReferenceKernelProgram } from '../../plugin/contract.ts'
import type { OpCall, Operand } from '../../schedule/program.ts'
import { allPositions, axisGroup, fillPositions } from './addressing.ts'
import { scalarFunction } from './elementwise.ts'
import { decoderOf, encoderOf } from './numbers.ts'

/** Elements whose positions are listed at a time when a whole tensor is copied. */
const copyBlock = 1024

/**
 * How gather and scatter address their operands. `whole` is the tensor with the indexed axis, `picked` the one that has
 * the axes of the indices in its place: `whole[before, index, after]` belongs to `picked[before, …indices, after]`.
 */
interface IndexedAxis {
  readonly extent: number
  readonly stride: number
  readonly indexPositions: Int32Array
  readonly wholeBefore: Int32Array
  readonly wholeAfter: Int32Array
  readonly pickedBefore: Int32Array
  readonly pickedIndices: Int32Array
  readonly pickedAfter: Int32Array
}

function indexedAxis(op: string, axis: number, whole: Operand, indices: Operand, picked: Operand): IndexedAxis {
  const rank = whole.view.shape.length
  const indexRank = indices.view.shape.length
  const expected: Shape = [
    ...whole.view.shape.slice(0, axis),
    ...indices.view.shape,
    ...whole.view.shape.slice(axis + 1),
  ]
  if (
    axis >= rank ||
    !sameShape(picked.view.shape, expected) ||
    picked.dtype !== whole.dtype ||
    isFloat(indices.dtype)
  ) {
    throw new TesseraError(
      'PROGRAM_INVALID',
      `${op}: ${whole.dtype}${formatShape(whole.view.shape)} indexed along axis ${axis} by ${indices.dtype}` +
        `${formatShape(indices.view.shape)} does not give ${picked.dtype}${formatShape(picked.view.shape)}.`,
    )
  }
  const positions = (operand: Operand, start: number, end: number): Int32Array =>
    allPositions(axisGroup(operand.view, start, end))
  return {
    extent: whole.view.shape[axis]!,
    stride: whole.view.strides[axis]!,
    indexPositions: positions(indices, 0, indexRank),
    wholeBefore: positions(whole, 0, axis),
    wholeAfter: positions(whole, axis + 1, rank),
    pickedBefore: positions(picked, 0, axis),
    pickedIndices: positions(picked, axis, axis + indexRank),
    pickedAfter: positions(picked, axis + indexRank, rank - 1 + indexRank),
  }
}

/** Copies elements as they are stored; indices are clamped into the axis. */
export function buildGather(call: OpCall<'gather'>): ReferenceKernelProgram {
  const [source, indices] = call.inputs as [Operand, Operand]
  const output = call.outputs[0]!
  const map = indexedAxis('gather', call.attributes.axis, source, indices, output)
  const count = map.pickedBefore.length * map.indexPositions.length * map.pickedAfter.length
  if (map.extent === 0 && count > 0) {
    throw new TesseraError(
      'PROGRAM_INVALID',
      `gather: axis ${call.attributes.axis} of ${formatShape(source.view.shape)} has no elements to read.`,
    )
  }
  return ([sourceData, indexData], [outputData]) => {
    for (let i = 0; i < map.indexPositions.length; i++) {
      const index = Math.min(map.extent - 1, Math.max(0, indexData![indices.view.offset + map.indexPositions[i]!]!))
      const from = source.view.offset + index * map.stride
      const to = output.view.offset + map.pickedIndices[i]!
      for (let before = 0; before < map.wholeBefore.length; before++) {
        const fromBefore = from + map.wholeBefore[before]!
        const toBefore = to + map.pickedBefore[before]!
        for (let after = 0; after < map.wholeAfter.length; after++) {
          outputData![toBefore + map.pickedAfter[after]!] = sourceData![fromBefore + map.wholeAfter[after]!]!
        }
      }
    }
  }
}

/** Adds in float64 (or wrapping integers) and rounds each element once; indices out of range are ignored. */
export function buildScatter(call: OpCall<'scatter'>): ReferenceKernelProgram {
  const [base, indices, updates] = call.inputs as [Operand, Operand, Operand]
  const output = call.outputs[0]!
  const { axis, mode } = call.attributes
  const map = indexedAxis('scatter', axis, output, indices, updates)
  if (!sameShape(base.view.shape, output.view.shape) || base.dtype !== output.dtype) {
    throw new TesseraError(
      'PROGRAM_INVALID',
      `scatter: the base ${base.dtype}${formatShape(base.view.shape)} and the output ${output.dtype}${formatShape(output.view.shape)} differ.`,
    )
  }
  const combine =
    mode === 'set'
      ? (_: number, update: number) => update
      : scalarFunction('add', [output.dtype, output.dtype], output.dtype)
  const decode = decoderOf(output.dtype) ?? ((value: number) => value)
  const encode = encoderOf(output.dtype) ?? ((value: number) => value)

  return ([baseData, indexData, updateData], [outputData]) => {
    if (!sameElements(base, baseData!, output, outputData!))
      copyElements(base.view, baseData!, output.view, outputData!)
    const sums = new Map<number, number>()
    for (let before = 0; before < map.wholeBefore.length; before++) {
      for (let after = 0; after < map.wholeAfter.length; after++) {
        const to = output.view.offset + map.wholeBefore[before]! + map.wholeAfter[after]!
        const from = updates.view.offset + map.pickedBefore[before]! + map.pickedAfter[after]!
        sums.clear()
        for (let i = 0; i < map.indexPositions.length; i++) {
          const index = indexData![indices.view.offset + map.indexPositions[i]!]!
          if (index < 0 || index >= map.extent) continue
          const update = decode(updateData![from + map.pickedIndices[i]!]!)
          sums.set(index, combine(sums.get(index) ?? decode(outputData![to + index * map.stride]!), update))
        }
        for (const [index, sum] of sums) outputData![to + index * map.stride] = encode(sum)
      }
    }
  }
}

function copyElements(from: View, source: TypedArray, to: View, target: TypedArray): void {
  const fromAxes = axisGroup(from, 0, from.shape.length)
  const toAxes = axisGroup(to, 0, to.shape.length)
  const fromPositions = new Int32Array(copyBlock)
  const toPositions = new Int32Array(copyBlock)
  for (let start = 0; start < fromAxes.size; start += copyBlock) {
    const count = Math.min(copyBlock, fromAxes.size - start)
    fillPositions(fromAxes, start, count, fromPositions)
    fillPositions(toAxes, start, count, toPositions)
    for (let i = 0; i < count; i++) target[to.offset + toPositions[i]!] = source[from.offset + fromPositions[i]!]!
  }
}

/** True when the output takes the place of the base, so that nothing needs copying. */
function sameElements(base: Operand, baseData: TypedArray, output: Operand, outputData: TypedArray): boolean {
  return (
    baseData.buffer === outputData.buffer &&
    baseData.byteOffset === outputData.byteOffset &&
    base.view.offset === output.view.offset &&
    base.view.strides.every((stride, axis) => stride === output.view.strides[axis])
  )
}
