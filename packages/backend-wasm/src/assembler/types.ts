/** The value types that functions, locals and globals may have. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

/** What a function or an instruction leaves behind: one value, or nothing. */
export type ResultType = ValueType | 'void'

/** Parameter names and types, in order. Names must not look like integers, because JavaScript would reorder them. */
export type Parameters = Readonly<Record<string, ValueType>>

export const valueTypeCode: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
}
