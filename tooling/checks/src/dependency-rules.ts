/** What a package may import from the others. */
export interface PackageRule {
  readonly values: readonly string[]
}

/**
 * Which package may depend on which, by folder under `packages/`. Dependencies point one way: from what is specific to
 * what is general, with core at the end. Apps and tooling may use every package, and no package may use them.
 */
export const packageRules: Readonly<Record<string, PackageRule>> = {
  core: { values: [] },
  nn: { values: ['core'] },
  'backend-wasm': { values: ['core'] },
  'backend-webgpu': { values: ['core'] },
  'kernel-winograd': { values: ['core', 'backend-wasm', 'backend-webgpu'] },
  'kernel-sparse-attention': { values: ['core', 'backend-wasm', 'backend-webgpu'] },
  'numerics-flexpoint': { values: ['core', 'backend-wasm'] },
  onnx: { values: ['core', 'nn'] },
  'models-gpt': { values: ['core', 'nn', 'kernel-sparse-attention'] },
  'models-multimodal': { values: ['core', 'nn', 'models-gpt'] },
  'rl-selfplay': { values: ['core', 'nn'] },
  'scaling-laws': { values: ['core', 'nn'] },
}

/** Subpaths of published packages that run in Node only, so that what they load may import `node:` modules. */
export const nodeOnlySubpaths: readonly string[] = ['node']

/** The folder of core that holds the contract: types from it may be imported anywhere without counting as a cycle. */
export const contractFolder = 'plugin'
