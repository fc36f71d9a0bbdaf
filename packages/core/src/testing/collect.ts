import type { TestRunner } from './context.ts'

export interface CollectedTest {
  /** The names of the groups around the test and its own, joined by ` > `. */
  readonly name: string
  readonly test: () => Promise<void>
}

/** A runner that only lists what a suite declares, to run parts of it or to look at what fails. */
export function collectTests(declare: (run: TestRunner) => void): CollectedTest[] {
  const tests: CollectedTest[] = []
  const path: string[] = []
  declare({
    describe(name, declareGroup) {
      path.push(name)
      declareGroup()
      path.pop()
    },
    it(name, test) {
      tests.push({ name: [...path, name].join(' > '), test })
    },
  })
  return tests
}

/** Runs tests one after the other and gives the message of each that fails. */
export async function failuresOf(tests: readonly CollectedTest[]): Promise<Map<string, string>> {
  const failures = new Map<string, string>()
  for (const { name, test } of tests) {
    try {
      await test()
    } catch (error) {
      failures.set(name, error instanceof Error ? error.message : String(error))
    }
  }
  return failures
}
