#!/usr/bin/env node
import { TesseraError } from '@tessera/core'
import { makeProgram } from './program.ts'

try {
  await makeProgram().parseAsync()
} catch (error) {
  // The place in the program only for those who look for it.
  const isExpected = error instanceof TesseraError || (error instanceof Error && 'syscall' in error)
  const text = error instanceof Error ? (isExpected && !process.env.TESSERA_DEBUG ? error.message : error.stack) : error
  process.stderr.write(`tessera-examples: ${text}\n`)
  process.exitCode = 1
}
