/** What stands at fixed addresses, the same in every device's memory. Address 0 stays unused. */
export const layout = {
  /** Words of the barrier between threads, on cache lines of their own. */
  barrierArrived: 64,
  barrierGeneration: 128,
  /** First byte that the allocator hands out. */
  heap: 192,
} as const

export const pageBytes = 65536
export const maximumPages = 65536
