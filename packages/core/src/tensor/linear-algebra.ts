import type { Tensor } from './tensor.ts'

export function matmul(a: Tensor, b: Tensor): Tensor {
  return a.matmul(b)
}
