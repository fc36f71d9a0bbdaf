export { NumpyError } from '../numpy/errors.ts'
export type { NumpyDtype, NumpyValues } from '../numpy/formats.ts'
export { encodeNpy, fromNumpy, type NumpyArray, parseNpy, toNumpy } from '../numpy/npy.ts'
export { type EncodeNpzOptions, encodeNpz, type ParseNpzOptions, parseNpz } from '../numpy/npz.ts'
