/**
 * An assembler of WebAssembly modules: typed TypeScript in, bytes out.
 *
 * - `ModuleBuilder` holds imports, functions and exports; `module.function(name, parameters, result, body)` emits a function.
 * - *Values* are expressions made by `i32`, `i64`, `f32`, `f64`, `v128`, `i8x16` … `f64x2`, `atomic`, `call`, `select`, `tee`: immutable
 *   recipes that are emitted wherever they are used. Types are checked at compile time. Plain numbers stand for scalar constants.
 * - *Statements* are methods of the `FunctionBuilder` and are emitted in the order of the calls: `set`, `store`, `call`, `if`, `loop`, `forRange` …
 * - *Locals* (`fn.local`) live until the enclosing body ends; their slots are reused.
 *
 * @example
 * // y[i] += alpha · x[i] for count (a multiple of 4) floats
 * const module = new ModuleBuilder()
 * module.importMemory('env', 'memory', { minimum: 1 })
 * const axpy = module.function('axpy', { alpha: 'f32', x: 'i32', y: 'i32', count: 'i32' }, 'void', (fn, { alpha, x, y, count }) => {
 *   const factor = fn.local('v128', 'factor', f32x4.splat(alpha))
 *   fn.forRange(0, i32.shl(count, 2), 16, (offset) => {
 *     const target = fn.local('i32', 'target', i32.add(y, offset))
 *     fn.store('v128', target, f32x4.add(v128.load(target), f32x4.mul(factor, v128.load(i32.add(x, offset)))))
 *   })
 * })
 * module.export(axpy)
 * const compiled = new WebAssembly.Module(module.toBytes())
 */
export { atomic } from './atomics.ts'
export { AssemblerError } from './errors.ts'
export type { Expression, Operand } from './expression.ts'
export type { FunctionBuilder, InsertionPoint, Label } from './function.ts'
export type { MemoryLimits, ParameterLocals } from './module.ts'
export { ModuleBuilder } from './module.ts'
export { printModule } from './print.ts'
export { f32, f64, i32, i64 } from './scalar.ts'
export type { Parameters, ResultType, ValueType } from './types.ts'
export type { Arguments, FunctionHandle, Global, Local, Signature } from './variables.ts'
export { call, callIndirect, memoryGrow, memorySize, select, tee } from './variables.ts'
export { f32x4, f64x2, i8x16, i16x8, i32x4, i64x2, v128 } from './vector.ts'
