/**
 * What stands at fixed addresses, the same in every device's memory, so that compiled functions can be shared between devices.
 * Address 0 stays unused.
 */
export const layout = {
  /** Words of the barrier between threads, on cache lines of their own. */
  barrierArrived: 64,
  barrierGeneration: 128,
  /** Constants of vector code: see `ConstantPool`. */
  constants: 256,
  constantsEnd: 256 + 16384,
  /** First byte that the allocator hands out. */
  heap: 256 + 16384,
} as const

export const pageBytes = 65536
export const maximumPages = 65536
