import { expect, it } from 'vitest'
import { benchmarkCases } from './cases/index.ts'
import { selectByGlob } from './select.ts'

const select = (...globs: string[]) => selectByGlob(benchmarkCases, ({ name }) => name, globs).map(({ name }) => name)

it('selects all without a glob, in order', () => {
  expect(select()).toEqual(benchmarkCases.map(({ name }) => name))
})
it('matches braces, stars and classes within the parts of a name', () => {
  expect(select('matmul/{64,512}/N*')).toEqual(['matmul/64/NN', 'matmul/64/NT', 'matmul/512/NN', 'matmul/512/NT'])
  expect(select('*/128/?T')).toEqual(['matmul/128/NT', 'matmul/128/TT'])
})
it('takes leading parts for everything below them', () => {
  expect(select('matmul/256')).toEqual(['matmul/256/NN', 'matmul/256/NT', 'matmul/256/TN', 'matmul/256/TT'])
  expect(select('gpt-s*')).toEqual(['gpt-step/nanogpt-cpu', 'gpt-step/gpt-6x384'])
})
it('joins several globs without repeating', () => {
  expect(select('matmul/64/NN', 'matmul/64/N?')).toEqual(['matmul/64/NN', 'matmul/64/NT'])
})
it('refuses a glob that matches nothing', () => {
  expect(() => select('matmul/64', 'matmull')).toThrow('nothing is called like "matmull"; --list shows the names')
})
