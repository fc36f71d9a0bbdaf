import { type Shape, sizeOf } from '../../graph/shape.ts'
import type { Choices } from './choices.ts'

/** Extents that programs get wrong first: one, nothing, odd ones, and ones larger than a vector, a tile or a block. */
const extents: readonly number[] = [1, 2, 3, 0, 5, 7, 8, 17, 33, 65, 131]

/** Most elements of a drawn tensor: references compute them one by one. */
const mostElements = 600

/** An extent above 0 of at most `most`. */
export function anyExtent(choices: Choices, most = mostElements): number {
  return choices.pick(extents.filter((extent) => extent > 0 && extent <= most))
}

export interface ShapeOptions {
  readonly least?: number
  readonly most?: number
  /** At least one element along each axis. */
  readonly filled?: boolean
  readonly elements?: number
}

/** A shape of `least` to `most` axes. */
export function anyShape(
  choices: Choices,
  { least = 0, most = 4, filled = false, elements = mostElements }: ShapeOptions = {},
): Shape {
  const shape: number[] = []
  for (let rank = choices.integer(least, most); shape.length < rank; ) {
    const room = elements / Math.max(1, sizeOf(shape))
    shape.push(choices.pick(extents.filter((extent) => extent <= Math.max(1, room) && !(filled && extent === 0))))
  }
  return shape
}

/** Two shapes that broadcast: each is a shape with leading axes left out and others of extent 1. */
export function anyPair(choices: Choices, options?: ShapeOptions): readonly [Shape, Shape] {
  const joint = anyShape(choices, options)
  const narrowed = (): Shape => {
    if (choices.integer(0, 1) === 0) return joint
    return joint.map((extent) => (choices.integer(0, 2) === 2 ? 1 : extent)).slice(choices.integer(0, joint.length))
  }
  return choices.integer(0, 1) === 0 ? [joint, narrowed()] : [narrowed(), joint]
}

/** An axis of a shape with at least one. */
export const anyAxis = (choices: Choices, shape: Shape): number => choices.integer(0, shape.length - 1)

/** Some of the axes of a shape, in order. */
export const someAxes = (choices: Choices, shape: Shape): readonly number[] =>
  shape.flatMap((_, axis) => (choices.integer(0, 1) === 1 ? [axis] : []))
