/** Functions and methods of core that `opTests` has no entry for, and where they are tested or why they need none. */
export const untestedOps: Readonly<Record<string, string>> = {
  ...reasons('a cast or a reading of bits: every pair of formats in `testBackend`', 'cast bitcast'),
  ...reasons(
    'gives constants: `graph/format.test.ts`, `tensor/tensor.test.ts`',
    'eye full linspace ones onesLike range tensor zeros zerosLike',
  ),
  ...reasons(
    'random numbers: their moments in `tensor/distributions.test.ts`, their bits in `tensor/tensor.test.ts`',
    `dropout gumbelSoftmax randomBernoulli randomBeta randomBits randomCategorical randomCauchy randomChiSquared randomDirichlet
     randomExponential randomGamma randomGumbel randomInteger randomKey randomLaplace randomLogistic randomNormal randomPermutation
     randomStudent randomTruncatedNormal randomUniform shuffle splitKey`,
  ),
  ...reasons('8-bit and 4-bit weights: `tensor/quantization.test.ts`', 'dequantize quantizeMatrix quantizedMatmul'),
  ...reasons(
    'a transform: `tensor/vmap.test.ts`, `tensor/forward-mode.test.ts`, `tensor/checkpoint.test.ts`, `autodiff/gradient.test.ts`',
    'checkpoint grad hessianVectorProduct jvp valueAndGrad valueAndGradWith vjp vmap',
  ),
  ...reasons('structured control flow: `tensor/control.test.ts`', 'cond forLoop scan whileLoop'),
  ...reasons('tracing: `tensor/jit.test.ts`', 'jit scope'),
  ...reasons('marks a value for number formats: `tensor/format-policy.test.ts`', 'keepWide'),
  ...reasons('defines ops: `tensor/tensor.test.ts`', 'applyOp defineOp'),
  ...reasons(
    'reads, frees or copies: `tensor/tensor.test.ts`',
    'copy data dispose item realize replaceNode toString valueOf',
  ),
  ...reasons(
    'no op',
    `createHostBackend createNode createRuntime currentRuntime formatGraph formatPolicy lossScalePolicy formatOf formatShape formatSpec hasAdjacentRows isFloat isInteger
     isRowMajor mapTensors namedTensors nullKernels ownInputs promote resultOf rowMajorStrides rowMajorView sizeOf tensorsIn topologicalOrder
     viewBounds visitTree`,
  ),
}

function reasons(reason: string, names: string): Record<string, string> {
  return Object.fromEntries(names.split(/\s+/).map((name) => [name, reason]))
}
