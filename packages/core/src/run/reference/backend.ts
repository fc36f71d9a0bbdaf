import { createHostBackend, type HostBackend } from '../host/device.ts'

export type ReferenceBackend = HostBackend<'reference'>

/**
 * Plain TypeScript in float64: slow and right. What every other backend is compared with, and the one that needs nothing
 * but JavaScript.
 */
export const referenceBackend: ReferenceBackend = createHostBackend({
  name: 'reference',
  variant: 'float64',
  limits: { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 },
})
