import { describe, expect, it } from 'vitest'
import { i32 } from '../assembler/index.ts'
import type { WasmFunction } from './contract.ts'
import { FunctionLibrary, functionLibrary } from './library.ts'

let defined = 0
const store = (name: string, value: number): WasmFunction => ({
  name,
  parameters: { address: 'i32' },
  define(module, environment) {
    defined++
    const helper = environment.helper('seven', () => module.function('seven', {}, 'i32', (fn) => fn.return(7)))
    return module.function(name, { address: 'i32' }, 'void', (fn, { address }) => {
      fn.store('i32', address, i32.add(value, helper.parameters === undefined ? 0 : value))
    })
  },
})

describe('FunctionLibrary', () => {
  it('compiles a function once, and functions that are asked for together as one module', () => {
    const library = new FunctionLibrary('plain', false)
    library.require([store('test.one', 1), store('test.two', 2)])
    expect(defined).toBe(2)
    library.require([store('test.two', 2), store('test.three', 3)])
    expect(defined).toBe(3)
    expect(library.get('test.one').module).toBe(library.get('test.two').module)
    expect(library.get('test.three').module).not.toBe(library.get('test.two').module)
    expect(WebAssembly.Module.exports(library.get('test.one').module).map(({ name }) => name)).toEqual([
      'test.one',
      'test.two',
    ])
  })

  it('has one library for each variant and kind of memory', () => {
    expect(functionLibrary('plain', false)).toBe(functionLibrary('plain', false))
    expect(functionLibrary('plain', false)).not.toBe(functionLibrary('plain', true))
  })
})
