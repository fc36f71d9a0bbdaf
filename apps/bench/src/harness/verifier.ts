import type { BenchmarkCase } from '../cases/case.ts'
import { familyOf } from '../cases/index.ts'
import { relativeError } from './statistics.ts'

/** What an implementation can be asked for, wherever it runs. */
export interface Verifiable {
  /** Makes a case ready; false when the implementation cannot do it. */
  prepare(benchmarkCase: BenchmarkCase): Promise<boolean>
  /** The result of the prepared case at these positions, or all of it. */
  output(indices: readonly number[] | undefined): Promise<Float32Array>
}

/** Compares the results of one implementation with float64 before it is timed. */
export class Verifier {
  readonly #subject: Verifiable
  /** Verdict on the small checks of each kind and group of cases; undefined: right. */
  readonly #verdicts = new Map<string, string | undefined>()

  constructor(subject: Verifiable) {
    this.#subject = subject
  }

  /**
   * Makes the case ready after checking results, of the small cases of its kind and group (once) and of itself.
   * Resolves to the reason when the case cannot be timed, else to undefined.
   */
  async prepare(benchmarkCase: BenchmarkCase): Promise<string | undefined> {
    const family = familyOf(benchmarkCase)
    const group = family.group?.(benchmarkCase)
    const key = `${benchmarkCase.kind} ${group}`
    if (!this.#verdicts.has(key)) {
      let verdict: string | undefined
      for (const check of family.checks) {
        if (family.group?.(check) === group) verdict ??= await this.#prepareAndCheck(check)
      }
      this.#verdicts.set(key, verdict)
    }
    return this.#verdicts.get(key) ?? (await this.#prepareAndCheck(benchmarkCase))
  }

  async #prepareAndCheck(benchmarkCase: BenchmarkCase): Promise<string | undefined> {
    const family = familyOf(benchmarkCase)
    if (!(await this.#subject.prepare(benchmarkCase))) {
      return `has no ${family.group?.(benchmarkCase) ?? benchmarkCase.kind}`
    }
    const actual = await this.#subject.output(family.checkedIndices(benchmarkCase))
    const expected = family.expected(benchmarkCase)
    if (actual.length !== expected.length) {
      return `wrong result of ${benchmarkCase.name}: ${actual.length} values instead of ${expected.length}`
    }
    const error = relativeError(actual, expected)
    // Written so that NaN is wrong.
    return error <= family.tolerance
      ? undefined
      : `wrong result of ${benchmarkCase.name}: relative error ${error.toExponential(1)}, allowed ${family.tolerance}`
  }
}
