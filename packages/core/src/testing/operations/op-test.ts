import type { DType } from '../../graph/format.ts'
import type { Shape } from '../../graph/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Tolerance } from '../assertions.ts'
import type { Choices } from './choices.ts'
import type { HostTensor } from './host.ts'

/** An operand of a case: its shape and the numbers that it holds. */
export interface OperandSpec {
  readonly shape: Shape
  /** Floats are drawn from here, uniformly; −2 to 2 by default. Integers are drawn from its integers. */
  readonly range?: readonly [low: number, high: number]
  /** A format of its own, such as i32 for indices; by default the one that is tested. No gradient is asked for. */
  readonly dtype?: DType
  /** Contents instead of random ones. */
  readonly values?: readonly number[]
  /** NaN, infinities, signed zeros, denormals and the like among the floats, except where gradients are compared. */
  readonly specials?: boolean
}

/** One application of an op. */
export interface OpCase {
  readonly name: string
  readonly operands: readonly OperandSpec[]
  readonly apply: (...inputs: Tensor[]) => Tensor
  /** The result in float64. Operands hold the numbers that the tensors hold, already rounded to their formats. */
  readonly expected: (...inputs: HostTensor[]) => HostTensor
  /** Formats that the case makes sense for; all that the op takes by default. */
  readonly formats?: readonly DType[]
  /** False where values are tested only, for example with NaN among the operands. */
  readonly differentiable?: boolean
}

/** What `testOp` tests an op by. */
export interface OpTest {
  /** As users call it. */
  readonly op: string
  readonly topic: string
  readonly cases: readonly OpCase[]
  /** Formats that the op takes. */
  readonly formats: readonly DType[]
  /** Whether gradients are compared with differences of `expected`, or why there are none. */
  readonly gradient: true | string
  /** A case of random shapes and attributes, simple ones for low choices; `testOp` adds layouts and contents. */
  readonly property?: (choices: Choices) => OpCase
  /** Difference from float64 that is allowed, in units of the spacing of the format: relative to the value, and absolute. */
  readonly spacings?: Tolerance
}

export const floats: readonly DType[] = ['f32', 'f64', 'f16', 'bf16']
export const integers: readonly DType[] = ['i32', 'u32', 'i8', 'u8']
export const numbers: readonly DType[] = [...floats, ...integers]
export const everyFormat: readonly DType[] = [...numbers, 'bool']

/** Shapes that programs get wrong first: nothing, one, odd, larger than a vector or a tile, several axes. */
export const awkwardShapes: readonly Shape[] = [[0], [1], [], [7], [3, 5], [2, 0, 3], [2, 3, 17], [133]]
/** The same with at least one element along each axis. */
export const filledShapes: readonly Shape[] = awkwardShapes.filter((shape) => !shape.includes(0))
