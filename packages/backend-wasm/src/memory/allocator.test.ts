import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Allocator, granuleBytes } from './allocator.ts'

describe('Allocator', () => {
  it('aligns, reuses freed memory and joins free neighbours', () => {
    const allocator = new Allocator(1, 64 * 100)
    const addresses = [1, 64, 65, 1000].map((bytes) => allocator.allocate(bytes)!)
    expect(addresses).toEqual([64, 128, 192, 320])
    expect(allocator.usedBytes).toBe(64 + 64 + 128 + 1024)
    for (const address of [128, 64, 320, 192]) expect(allocator.free(address)).toBe(true)
    expect(allocator.usedBytes).toBe(0)
    expect(allocator.peakBytes).toBe(64 + 64 + 128 + 1024)
    // One block again: only then does everything fit at once.
    expect(allocator.allocate(64 * 99)).toBe(64)
    expect(allocator.allocate(1)).toBeUndefined()
  })

  it('refuses to free what is not in use', () => {
    const allocator = new Allocator(0, 6400)
    const address = allocator.allocate(100)!
    expect(allocator.free(address + 64)).toBe(false)
    expect(allocator.free(address)).toBe(true)
    expect(allocator.free(address)).toBe(false)
  })

  it('gives a freed block to a request of exactly its size', () => {
    const allocator = new Allocator(0, 2 ** 24)
    const first = allocator.allocate(1_000_003)!
    allocator.allocate(64)
    allocator.free(first)
    expect(allocator.allocate(1_000_003)).toBe(first)
  })

  it('says how much must be added, and needs no more', () => {
    const allocator = new Allocator(0, 1024)
    allocator.allocate(512)
    const shortfall = allocator.shortfall(4096)
    expect(shortfall).toBe(4096 - 512)
    expect(allocator.allocate(4096)).toBeUndefined()
    allocator.extend(allocator.end + shortfall)
    expect(allocator.allocate(4096)).toBe(512)
  })

  it('manages 4 GiB', () => {
    const allocator = new Allocator(1024, 2 ** 32)
    const large = allocator.allocate(3 * 2 ** 30)!
    const rest = allocator.allocate(2 ** 30 - 1024)!
    expect(rest).toBe(1024 + 3 * 2 ** 30)
    expect(allocator.allocate(1)).toBeUndefined()
    allocator.free(large)
    allocator.free(rest)
    expect(allocator.allocate(2 ** 32 - 1024)).toBe(1024)
  })

  it('never overlaps, counts right, and is one free block in the end', () => {
    const command = fc.oneof(
      fc.record({ bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 40_000 })) }),
      fc.record({ victim: fc.nat() }),
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const allocator = new Allocator(64, 64 + 2 ** 18)
        const live = new Map<number, number>()
        for (const step of commands) {
          if ('bytes' in step) {
            const address = allocator.allocate(step.bytes)
            if (address === undefined) continue
            const size = Math.max(1, Math.ceil(step.bytes / granuleBytes)) * granuleBytes
            expect(address % granuleBytes).toBe(0)
            expect(address).toBeGreaterThanOrEqual(64)
            expect(address + size).toBeLessThanOrEqual(64 + 2 ** 18)
            for (const [other, otherSize] of live)
              expect(address + size <= other || other + otherSize <= address).toBe(true)
            live.set(address, size)
          } else if (live.size > 0) {
            const address = [...live.keys()][step.victim % live.size]!
            expect(allocator.free(address)).toBe(true)
            live.delete(address)
          }
          expect(allocator.usedBytes).toBe([...live.values()].reduce((sum, size) => sum + size, 0))
        }
        for (const address of live.keys()) allocator.free(address)
        expect(allocator.allocate(2 ** 18)).toBe(64)
      }),
    )
  })
})
