import { type DType, isFloat, type TypedArray } from '../../graph/format.ts'
import type { FusedInstruction } from '../../graph/operations.ts'
import type { OpCall } from '../../schedule/program.ts'
import type { AxisGroup } from './addressing.ts'
import { reduction, scalarFunction } from './elementwise.ts'
import { accumulate, accumulateSum, elementwiseLoop, type Loop } from './loops.ts'
import { castBetween, load, roundTo, store } from './numbers.ts'

/** What the domain's index addresses: an input, an iota or an output. */
export interface Addressed {
  readonly offset: number
  readonly outer: AxisGroup
  readonly reduced: AxisGroup
  readonly inner: AxisGroup
  /** One element for all inner indices. */
  readonly innerConstant: boolean
  /** Position that the current outer and reduced indices lead to. */
  base: number
  /** Positions of the current block's elements, from the base. */
  readonly positions: Int32Array
}

/** Computes one instruction for `count` elements of the current block. */
export type Step = (count: number) => void

/** The instructions of a body as steps over registers, one float64 register for each. */
export interface Machine {
  /** The buffers of the current run. */
  inputs: readonly TypedArray[]
  outputs: readonly TypedArray[]
  readonly steps: readonly Step[]
  /** Sets the registers of reductions to their identities. */
  startReductions(instructions: readonly number[]): void
  /** Stores the register that belongs to an output. */
  store(output: number, count: number): void
}

export interface MachineParts {
  readonly call: OpCall<'fused'>
  readonly block: number
  readonly inputs: readonly Addressed[]
  /** By instruction. */
  readonly iotas: readonly (Addressed | undefined)[]
  readonly outputs: readonly Addressed[]
  /** Instructions whose register holds a single value for the whole row. */
  readonly perRow: readonly boolean[]
}

export function buildMachine({ call, block, inputs, iotas, outputs, perRow }: MachineParts): Machine {
  const { instructions, stores, kind } = call.attributes
  const registers = perRow.map((single) => new Float64Array(single ? 1 : block))
  const strides = perRow.map((single): 0 | 1 => (single ? 0 : 1))
  const reductions = instructions.map((instruction) =>
    instruction.kind === 'reduce' ? reduction(instruction.op, instruction.dtype) : undefined,
  )

  const buildStep = (instruction: FusedInstruction, i: number): Step => {
    const target = registers[i]!
    const single = perRow[i]!
    switch (instruction.kind) {
      case 'constant':
        target.fill(constantOf(instruction.value, instruction.dtype))
        return () => {}
      case 'load': {
        const { input } = instruction
        const source = inputs[input]!
        const { dtype } = call.inputs[input]!
        return (count) => load(dtype, machine.inputs[input]!, source.base, source.positions, single ? 1 : count, target)
      }
      case 'iota': {
        const source = iotas[i]!
        const cast = castBetween('i32', instruction.dtype)
        return (count) => {
          const length = single ? 1 : count
          for (let k = 0; k < length; k++) target[k] = cast(source.base + source.positions[k]!)
        }
      }
      case 'compute': {
        const operands = instruction.arguments
        const dtypes = operands.map((argument) => instructions[argument]!.dtype)
        const loop = elementwiseLoop(instruction.op, dtypes, instruction.dtype)
        const sources = operands.map((argument) => registers[argument]!)
        const sourceStrides = operands.map((argument) => strides[argument]!)
        return elementwiseStep(loop, sources, sourceStrides, target, single)
      }
      case 'reduce': {
        const { dtype } = instruction
        const { combine } = reductions[i]!
        const source = registers[instruction.argument]!
        if (kind === 'column') {
          return elementwiseStep(
            elementwiseLoop(combine, [dtype, dtype], dtype),
            [target, source],
            [1, 1],
            target,
            false,
          )
        }
        const stride = strides[instruction.argument]!
        if (combine === 'add' && isFloat(dtype)) {
          return (count) => {
            target[0] = accumulateSum(target[0]!, source, stride, count)
          }
        }
        const apply = scalarFunction(combine, [dtype, dtype], dtype)
        return (count) => {
          target[0] = accumulate(apply, target[0]!, source, stride, count)
        }
      }
    }
  }

  const machine: Machine = {
    inputs: [],
    outputs: [],
    steps: instructions.map(buildStep),
    startReductions(which) {
      for (const i of which) registers[i]!.fill(reductions[i]!.identity)
    },
    store(output, count) {
      const { base, positions } = outputs[output]!
      const value = stores[output]!
      store(
        call.outputs[output]!.dtype,
        registers[value]!,
        strides[value]!,
        machine.outputs[output]!,
        base,
        positions,
        count,
      )
    },
  }
  return machine
}

const constantOf = (value: number, dtype: DType): number =>
  isFloat(dtype) ? roundTo(dtype)(value) : castBetween('f64', dtype)(value)

/** Arguments with stride 0 have one value for the whole row, as a result has that is `single`. */
function elementwiseStep(
  loop: Loop,
  sources: readonly Float64Array[],
  strides: readonly (0 | 1)[],
  target: Float64Array,
  single: boolean,
): Step {
  const [a, b = a, c = a] = sources as [Float64Array, Float64Array?, Float64Array?]
  const [aStride, bStride = 0, cStride = 0] = strides as [number, number?, number?]
  return (count) => loop(target, single ? 1 : count, a, aStride, b, bStride, c, cStride)
}
