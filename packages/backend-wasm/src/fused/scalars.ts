import { i32, select } from '../assembler/index.ts'
import type { FusedCode, Integer } from './code.ts'

/** The smaller of two integers (signed). */
export function min({ fn }: FusedCode, a: Integer, b: Integer): Integer {
  const left = fn.local('i32', 'left', a)
  const right = fn.local('i32', 'right', b)
  return select(i32.ltS(left, right), left, right)
}
