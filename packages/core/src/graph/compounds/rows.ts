import { ShapeError } from '../../errors.ts'
import { sum } from '../build.ts'
import { isFloat } from '../format.ts'
import { formatSpec, type Node, type TensorSpec } from '../node.ts'

/** The operand of an op over the last axis. */
export function requireRow(op: string, spec: TensorSpec | undefined): TensorSpec {
  if (!spec || !isFloat(spec.dtype) || spec.shape.length === 0) {
    throw new ShapeError(`${op}: takes floats with at least one axis, got ${spec ? formatSpec(spec) : 'nothing'}.`)
  }
  return spec
}

export const lastAxis = (x: Node): number => x.shape.length - 1
export const sumLast = (x: Node): Node => sum(x, lastAxis(x))
