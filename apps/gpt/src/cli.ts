#!/usr/bin/env node
import { makeProgram } from './program.ts'
import { describeError } from './report-error.ts'

try {
  await makeProgram().parseAsync()
} catch (error) {
  process.stderr.write(`tessera-gpt: ${describeError(error)}\n`)
  process.exitCode = 1
}
