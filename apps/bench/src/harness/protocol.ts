import type { BenchmarkCase } from '../cases/case.ts'

/**
 * What the harness and a child process say to each other: one JSON object a line, requests on the child's standard
 * input, one answer to each, in order, on its standard output. A child may be written in any language.
 */
export interface Methods {
  /** Loads the library. */
  describe: { parameters: Record<never, never>; result: Description }
  /** Makes a case ready and releases the one before; `prepared` is false when the implementation cannot do it. */
  prepare: { parameters: { case: BenchmarkCase }; result: { prepared: boolean } }
  /** Computes the prepared case once: float32 values, little-endian, base64; `null` stands for all positions. */
  output: { parameters: { indices: readonly number[] | null }; result: { values: string } }
  /** Times the prepared case. */
  measure: { parameters: MeasureOptions; result: { samplesMs: number[] } }
  /** Releases the prepared case. */
  release: { parameters: Record<never, never>; result: Record<never, never> }
}

export type Method = keyof Methods

export interface Description {
  readonly name: string
  readonly version: string
  /** Why the implementation cannot be used here; absent when it can. */
  readonly unavailable?: string
}

export interface MeasureOptions {
  /** Time to spend on untimed runs first, at least one run unless it is 0. */
  readonly warmUpMs: number
  /** Shortest time of one sample; a sample is the mean over as many runs as that takes. */
  readonly sampleMs: number
  /** Samples to take, at least one. */
  readonly samples: number
  /** No further sample is begun once the turn has lasted this long. */
  readonly turnMs: number
}

export interface Request<Name extends Method = Method> {
  readonly id: number
  readonly method: Name
  readonly parameters: Methods[Name]['parameters']
}

export type Response =
  | { readonly id: number; readonly result: Methods[Method]['result'] }
  | { readonly id: number; readonly error: string }

export function encodeValues(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
}

export function decodeValues(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)
}
