/**
 * What costs are estimated from: one call from JavaScript into the library, and what a core with 256-bit vectors reaches. Only the ratio to
 * the costs of other kernels matters.
 */
export const callMicroseconds = 1
export const threadGigaflops = 50
