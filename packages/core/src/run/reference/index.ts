export { type ReferenceBackend, referenceBackend } from './backend.ts'
export { referenceKernels } from './kernels.ts'
