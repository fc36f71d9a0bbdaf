import type { OpCall } from '@tessera/core'
import { formatOf } from '@tessera/core'

/** Bytes that a call reads and writes, each once; elements that are repeated count once. */
export function bytesMoved(call: Pick<OpCall, 'inputs' | 'outputs'>): number {
  let bytes = 0
  for (const { view, dtype } of [...call.inputs, ...call.outputs]) {
    let elements = 1
    view.shape.forEach((extent, axis) => {
      if (view.strides[axis] !== 0) elements *= extent
    })
    bytes += elements * formatOf(dtype).bytes
  }
  return bytes
}
