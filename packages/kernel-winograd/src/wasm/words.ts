import { type Expression, i32, type ScalarOrExpression } from '@tessera/backend-wasm'

/** Names of the i32 words that a function reads from its call's data. */
export interface WordTable<Name extends string> {
  /** The words in memory order. */
  encode(values: Readonly<Record<Name, number>>): Int32Array
  /** Loads a word of the data at an address. */
  load(data: ScalarOrExpression<'i32'>, name: Name): Expression<'i32'>
}

export function wordTable<Name extends string>(names: readonly Name[]): WordTable<Name> {
  return {
    encode: (values) => Int32Array.from(names, (name) => values[name]),
    load: (data, name) => i32.load(data, 4 * names.indexOf(name)),
  }
}
