import type { OpCall } from '@tessera/core'
import { epilogueWork, followersOf, type Strided } from '../epilogue.ts'

/**
 * Strides of what follows a call with the result `[images, channels, ...spatial]`, along images, groups of channels, channels of a group and
 * positions: what `epiloguePart` takes for units that are rectangles of channels and of neighbouring positions of one image.
 *
 * `undefined` where an operand does not walk through the positions of an image in a single stride.
 */
export function imageFollowers(call: OpCall, groups: number): readonly (readonly number[])[] | undefined {
  const { shape } = call.epilogue!.result
  const ownChannels = shape[1]! / groups
  const followers: number[][] = []
  for (const follower of followersOf(call)) {
    const position = positionStride(shape, follower)
    if (position === undefined) return undefined
    const [image, channel] = follower.view.strides as [number, number]
    followers.push([image, channel * ownChannels, channel, position])
  }
  return followers
}

function positionStride(shape: readonly number[], { view: { strides } }: Strided): number | undefined {
  let stride: number | undefined
  let covered = 1
  for (let axis = shape.length - 1; axis >= 2; axis--) {
    if (shape[axis] === 1) continue
    stride ??= strides[axis]!
    if (strides[axis] !== stride * covered) return undefined
    covered *= shape[axis]!
  }
  return stride ?? 0
}

/** The multiply–adds of an epilogue on images; 0 without one, `undefined` for one that cannot follow units of them. */
export function imageEpilogueWork(call: OpCall): number | undefined {
  if (!call.epilogue) return 0
  const { body, result } = call.epilogue
  const isMap = body.kind === 'map' && result.shape.length > 2
  return isMap && imageFollowers(call, 1) ? epilogueWork(call, 0) : undefined
}
