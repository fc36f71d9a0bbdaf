import { formatOf, type TypedArray } from '../graph/format.ts'
import { sizeOf } from '../graph/shape.ts'
import type { View } from '../graph/view.ts'
import { allPositions, axisGroup } from '../run/reference/addressing.ts'
import type { OpCall, Operand, Program } from '../schedule/program.ts'

/** Another way for an operand to lie in memory: a view of the same shape, and the elements that its buffer holds. */
interface Layout {
  readonly name: string
  readonly relayout: (view: View) => { readonly view: View; readonly elements: number }
}

/** Row-major strides over the axes in the given order, outermost first; axes that repeat one element keep stride 0. */
function packed(view: View, order: readonly number[]): { strides: number[]; elements: number } {
  const strides = new Array<number>(view.shape.length).fill(0)
  let elements = 1
  for (const axis of [...order].reverse()) {
    if (view.strides[axis] === 0) continue
    strides[axis] = elements
    elements *= view.shape[axis]!
  }
  return { strides, elements }
}

const axesOf = (view: View): number[] => view.shape.map((_, axis) => axis)

const layouts: readonly Layout[] = [
  {
    name: 'every third element, from the second on',
    relayout: (view) => {
      const { strides, elements } = packed(view, axesOf(view))
      return {
        view: { shape: view.shape, strides: strides.map((stride) => 3 * stride), offset: 1 },
        elements: 3 * elements + 1,
      }
    },
  },
  {
    name: 'rows with a gap of one element',
    relayout: (view) => {
      const { strides, elements } = packed(view, axesOf(view))
      const last = view.shape.length - 1
      const rows = last < 0 || view.strides[last] === 0 ? elements : elements / Math.max(1, view.shape[last]!)
      const widened = strides.map((stride, axis) =>
        axis === last ? stride : stride + stride / Math.max(1, view.shape[last] ?? 1),
      )
      const usable = last >= 0 && view.strides[last] !== 0 && elements > 0
      return { view: { shape: view.shape, strides: usable ? widened : strides, offset: 0 }, elements: elements + rows }
    },
  },
  {
    name: 'column-major',
    relayout: (view) => {
      const { strides, elements } = packed(view, axesOf(view).reverse())
      return { view: { shape: view.shape, strides, offset: 0 }, elements }
    },
  },
  {
    name: 'reversed',
    relayout: (view) => {
      const { strides, elements } = packed(view, axesOf(view))
      const reversed = strides.map((stride) => (stride === 0 ? 0 : -stride))
      return { view: { shape: view.shape, strides: reversed, offset: Math.max(0, elements - 1) }, elements }
    },
  },
]

export interface Variant {
  readonly name: string
  readonly program: Program
  readonly inputs: readonly TypedArray[]
}

const positions = (view: View): Int32Array =>
  allPositions(axisGroup(view, 0, view.shape.length)).map((at) => at + view.offset)

/**
 * The program of a single call again, with one operand laid out in another way each time, its elements the same. Operands
 * that share a buffer, and views that reach one element in several ways other than by stride 0, stay as they are.
 */
export function layoutVariants(program: Program, inputs: readonly TypedArray[]): Variant[] {
  const call = program.calls[0]!
  const operands = [...call.inputs, ...call.outputs]
  const donors = new Set(
    program.buffers.flatMap(({ id, donatedFrom }) => (donatedFrom === undefined ? [] : [id, donatedFrom])),
  )
  return operands.flatMap((operand, i) => {
    const shared = donors.has(operand.buffer) || operands.filter(({ buffer }) => buffer === operand.buffer).length > 1
    if (shared || sizeOf(operand.view.shape) === 0 || overlaps(operand.view)) return []
    const which = i < call.inputs.length ? `input ${i}` : `output ${i - call.inputs.length}`
    return layouts.map(({ name, relayout }) => {
      const { view, elements } = relayout(operand.view)
      return { name: `${which} ${name}`, ...withLayout(program, inputs, operand, view, elements) }
    })
  })
}

/** True when different indices reach one element, other than along axes of stride 0. */
function overlaps(view: View): boolean {
  const shape = view.shape.map((extent, axis) => (view.strides[axis] === 0 ? 1 : extent))
  const reached = positions({ ...view, shape })
  return new Set(reached).size < reached.length
}

function withLayout(
  program: Program,
  inputs: readonly TypedArray[],
  operand: Operand,
  view: View,
  elements: number,
): Pick<Variant, 'program' | 'inputs'> {
  const { array, bytes } = formatOf(operand.dtype)
  const change = (other: Operand): Operand => (other === operand ? { ...other, view } : other)
  const call = program.calls[0]!
  const changed: OpCall = { ...call, inputs: call.inputs.map(change), outputs: call.outputs.map(change) }
  const [from, to] = [positions(operand.view), positions(view)]
  return {
    program: {
      ...program,
      calls: [changed],
      buffers: program.buffers.map((buffer) =>
        buffer.id === operand.buffer ? { ...buffer, byteLength: elements * bytes } : buffer,
      ),
    },
    inputs: inputs.map((input, i) => {
      if (program.inputs[i] !== operand.buffer) return input
      const moved = new array(elements)
      from.forEach((position, k) => {
        moved[to[k]!] = input[position]!
      })
      return moved
    }),
  }
}
