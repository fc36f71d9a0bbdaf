import { describe, it } from 'vitest'
import { coreFormats } from '../graph/format.ts'
import { referenceBackend } from '../run/reference/backend.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import { testBackend } from './test-backend.ts'

testBackend({
  backend: referenceBackend,
  kernels: referenceKernels,
  run: { describe, it },
  capabilities: { formats: coreFormats.map(({ name }) => name) },
})
