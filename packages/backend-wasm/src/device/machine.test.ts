import { describe, expect, it } from 'vitest'
import { WasmDevice } from './device.ts'
import { Machine } from './machine.ts'

const open = (maximumBytes: number) => new WasmDevice(new Machine('plain', { shared: false, threads: 1, maximumBytes }))

describe('memory of a device', () => {
  it('says what was asked for, used and allowed when there is no more', () => {
    const device = open(2 ** 21)
    const first = device.allocate(2 ** 20)
    expect(() => device.allocate(2 ** 20)).toThrowError(
      /cannot allocate 1048576 bytes: 1048576 bytes are in use and the memory may hold 2097152/,
    )
    device.free(first)
    device.free(device.allocate(2 ** 20))
    expect(device.memory()).toEqual({ usedBytes: 0, peakBytes: 2 ** 20 })
  })

  it('grows and keeps what was written', async () => {
    const device = open(2 ** 28)
    const small = device.allocate(5)
    device.write(small, Uint8Array.of(1, 2, 3, 4, 5))
    const large = device.allocate(2 ** 26)
    device.write(large, new Uint8Array(2 ** 26).fill(7))
    expect([...(await device.read(small, 5))]).toEqual([1, 2, 3, 4, 5])
    expect((await device.read(large, 2 ** 26))[2 ** 26 - 1]).toBe(7)
  })

  it('refuses a buffer of another device', () => {
    const [one, other] = [open(2 ** 21), open(2 ** 21)]
    expect(() => other.free(one.allocate(4))).toThrowError(/belongs to another device/)
  })
})
