import type { Plugin } from '@tessera/core'
import { sparseAttentionBackwardOp, sparseAttentionCachedOp, sparseAttentionOp } from './op.ts'

/** The package's ops by name. They work without it; with it, `createRuntime` refuses another package that takes their names. */
export const sparseAttentionPlugin = (): Plugin => ({
  name: 'sparse-attention',
  apiVersion: 1,
  ops: [sparseAttentionOp, sparseAttentionBackwardOp, sparseAttentionCachedOp],
})
