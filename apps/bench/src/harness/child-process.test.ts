import { expect, it } from 'vitest'
import { type FakeMode, fakeEntry } from '../testing/fake-entry.ts'
import { ChildConnection } from './child-process.ts'

const connect = (mode: FakeMode, timeoutMs = 30_000) =>
  new ChildConnection(`fake/${mode}`, fakeEntry(mode).launch(1), timeoutMs)

it('talks with a child in another process', async () => {
  const connection = connect('right')
  expect(await connection.request('describe', {})).toEqual({ name: 'fake', version: '1.2.3' })
  await connection.close()
  await expect(connection.request('describe', {})).rejects.toThrow('ended with exit code 0')
})

it('tells of a program that does not exist', async () => {
  const connection = new ChildConnection('none', { command: 'no-such-program', arguments: [] }, 1000)
  await expect(connection.request('describe', {})).rejects.toThrow(/cannot be started.*ENOENT/)
  await connection.close()
})

it('tells what a child that dies at its start wrote', async () => {
  const launch = { command: process.execPath, arguments: ['-e', 'throw new RangeError("out of luck")'] }
  const connection = new ChildConnection('broken', launch, 30_000)
  await expect(connection.request('describe', {})).rejects.toThrow(
    'broken ended with exit code 1 (RangeError: out of luck)',
  )
})

it('gives up on a child that stays silent', async () => {
  const connection = connect('silent', 300)
  await expect(connection.request('describe', {})).rejects.toMatchObject({
    message: expect.stringContaining('no answer to "describe" within 300 ms'),
    alive: false,
  })
})

it('reports output that is not of the protocol', async () => {
  const connection = connect('babbles')
  await expect(connection.request('describe', {})).rejects.toThrow('no JSON: hello')
  await connection.close()
})
