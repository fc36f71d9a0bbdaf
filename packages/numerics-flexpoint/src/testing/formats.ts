import { blockFormat, flexFormat, floatFormat } from '../index.ts'

/** All kinds of formats, with the largest relative error of numbers down to a sixteenth of the largest of their tensor. */
export const formats = [
  { format: flexFormat({ bits: 16 }), error: 2 ** -9 },
  { format: blockFormat('mxfp8'), error: 2 ** -3 },
  { format: flexFormat({ bits: 12 }), error: 2 ** -5 },
  { format: flexFormat({ bits: 8 }), error: 2 ** -1 },
  { format: floatFormat('f16'), error: 2 ** -11, smallest: 2 ** -14 },
  { format: floatFormat('bf16'), error: 2 ** -8 },
  { format: blockFormat('mxfp8-e5m2'), error: 2 ** -2 },
  { format: blockFormat('mxfp6'), error: 2 ** -1 },
  { format: blockFormat('mxfp6-e3m2'), error: 2 ** -2 },
  { format: blockFormat('mxfp4'), error: 2 },
  { format: blockFormat('mxint8'), error: 2 ** -2 },
]
