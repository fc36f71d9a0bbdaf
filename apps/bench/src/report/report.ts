/** What `--json` writes. Times are milliseconds of one run. */
export interface Report {
  readonly machine: Machine
  /** ISO 8601, when the run began. */
  readonly date: string
  readonly limits: Limits
  readonly cases: readonly CaseResult[]
  /** Who took part, and why others did not. */
  readonly implementations: readonly ImplementationResult[]
  /** Cases that an implementation could not do, did wrongly or failed in; none of these is timed. */
  readonly notTimed: readonly NotTimed[]
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly v8: string
  /** The browser that the implementations ran in, if it was one. */
  readonly browser?: string
  /** Runnable processes over the last minute when the run began; well above 0, the times are disturbed. */
  readonly loadAverage: number
}

/** The best of the run, of as many cores as the implementations had threads. */
export interface Limits {
  readonly threads: number
  /** Fused multiply-adds in registers, relaxed SIMD of 128 bits, GFLOP/s. */
  readonly fma128Gflops: number
  /** The same through V8's revectoriser, in 256-bit registers where the processor has them, GFLOP/s. */
  readonly fma256Gflops: number
  /** Copying memory: bytes read plus bytes written, 10⁹ a second. */
  readonly copyGBs: number
}

export interface CaseResult {
  readonly case: string
  readonly implementation: string
  readonly variant: string
  readonly threads: number
  readonly medianMs: number
  readonly minMs: number
  readonly maxMs: number
  /** Operations of the case over the median time, 10⁹ a second. */
  readonly gflops: number
  /**
   * Shortest possible time over the median time, by the limit that binds: arithmetic, or memory traffic with every
   * operand read and every result written once. Data that stay in caches can beat the second.
   */
  readonly shareOfLimit: number
  /** Median of the fastest peer over this median: above 1 is faster than every peer. Null without peers. */
  readonly ratioToBestPeer: number | null
}

export interface ImplementationResult {
  readonly implementation: string
  readonly variant: string
  readonly peer: boolean
  /** Of the library; null when it was not available. */
  readonly version: string | null
  readonly unavailable: string | null
}

export interface NotTimed {
  readonly case: string
  readonly implementation: string
  readonly variant: string
  readonly reason: string
}
