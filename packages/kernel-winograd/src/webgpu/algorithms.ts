import { partsOf } from '../parts.ts'

/** An algorithm by α, made when the first kernel needs it. */
export const algorithms = /* @__PURE__ */ partsOf((algorithm) => algorithm)
