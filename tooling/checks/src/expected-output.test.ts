import { expect, test } from 'vitest'
import { compareOutput, instrumentPrints, printedAs } from './expected-output.ts'

const source = `const x = [1, 2]
console.log(x) // [1, 2]
for (const y of x) console.log(y)
  console.log(x.length, 'numbers') // 3 numbers
console.log(Math.random()) // for example 0.3
`

test('reports lines that say what they print, and keeps their numbers', () => {
  const lines = instrumentPrints(source).split('\n')
  expect(lines[1]).toBe('printLine(2, x)')
  expect(lines[2]).toBe('for (const y of x) console.log(y)')
  expect(lines[3]).toBe("  printLine(4, x.length, 'numbers')")
  expect(lines[4]).toBe('console.log(Math.random()) // for example 0.3')
})

test('finds comments that are not true', () => {
  const output = 'something else\n\u00012 [1,2]\n\u00014 2 numbers\n'
  expect(compareOutput(source, output)).toEqual(["line 4: says '3 numbers', prints '2 numbers'"])
  expect(compareOutput(source, '\u00014 3 numbers')).toEqual(["line 2: '[1, 2]' was never printed"])
})

test('compares words exactly and numbers to three digits', () => {
  expect(printedAs('["0.250"] true', "['0.25'] true")).toBe(true)
  expect(printedAs('0.6000000238418579', '0.6')).toBe(true)
  expect(printedAs('0.61', '0.6')).toBe(false)
  expect(printedAs('wasm 1', 'reference 1')).toBe(false)
  expect(printedAs('1 2', '1')).toBe(false)
  expect(printedAs('-0.5', '−0.5')).toBe(true)
})

test('knows approximate and incomplete comments', () => {
  expect(printedAs('0.04', 'close to 0')).toBe(true)
  expect(printedAs('0.06', 'close to 0')).toBe(false)
  expect(printedAs('1.995', 'about 2')).toBe(true)
  expect(printedAs('1.9', 'about 2')).toBe(false)
  expect(printedAs('a b c', 'a, b, …')).toBe(true)
  expect(printedAs('b a c', 'a, b, …')).toBe(false)
})
