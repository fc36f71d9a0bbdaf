import { full, type Tensor, where } from '@tessera/core'

/** What a schedule may compute with: once as numbers on the host, once as tensors inside a program. */
export interface Arithmetic<Value> {
  add(a: Value, b: Value | number): Value
  multiply(a: Value, b: Value | number): Value
  minimum(a: Value, b: Value | number): Value
  maximum(a: Value, b: Value | number): Value
  /** `a` to the power of a number. */
  power(a: Value, exponent: number): Value
  cosine(a: Value): Value
  exponential(a: Value): Value
  floor(a: Value): Value
  /** `then` where `a < b`, else `otherwise`. */
  ifLess(a: Value, b: number, then: Value, otherwise: Value): Value
  constant(value: number): Value
}

export const onNumbers: Arithmetic<number> = {
  add: (a, b) => a + b,
  multiply: (a, b) => a * b,
  minimum: Math.min,
  maximum: Math.max,
  power: (a, exponent) => a ** exponent,
  cosine: Math.cos,
  exponential: Math.exp,
  floor: Math.floor,
  ifLess: (a, b, then, otherwise) => (a < b ? then : otherwise),
  constant: (value) => value,
}

export const onTensors: Arithmetic<Tensor> = {
  add: (a, b) => a.add(b),
  multiply: (a, b) => a.multiply(b),
  minimum: (a, b) => a.minimum(b),
  maximum: (a, b) => a.maximum(b),
  power: (a, exponent) => a.power(exponent),
  cosine: (a) => a.cos(),
  exponential: (a) => a.exp(),
  floor: (a) => a.floor(),
  ifLess: (a, b, then, otherwise) => where(a.less(b), then, otherwise),
  constant: (value) => full([], value),
}
