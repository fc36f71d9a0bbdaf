import { expect, it } from 'vitest'
import type { Backend, Device, DeviceBuffer } from '../plugin/contract.ts'
import { referenceBackend } from '../run/reference/backend.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import { collectTests, failuresOf } from './collect.ts'
import { testBackend } from './test-backend.ts'

/** The tests of devices that fail when parts of the reference device are replaced. */
async function failing(change: (device: Device) => Partial<Device>): Promise<string[]> {
  const backend: Backend = {
    name: 'reference',
    open() {
      const device = referenceBackend.open() as Device
      const changed = change(device)
      return new Proxy(device, {
        get: (_, key) => {
          const value = key in changed ? changed[key as keyof Device] : device[key as keyof Device]
          return typeof value === 'function' ? value.bind(device) : value
        },
      })
    },
  }
  const tests = collectTests((run) => testBackend({ backend, kernels: referenceKernels, run }))
  const failures = await failuresOf(tests.filter(({ name }) => /> device >|in the end/.test(name)))
  return [...failures.keys()].map((name) => name.split(' > ').at(-1)!)
}

it('a device as it should be passes', async () => {
  expect(await failing(() => ({}))).toEqual([])
})

it('freeing twice must fail', async () => {
  const freed = new Set<DeviceBuffer>()
  const names = await failing((device) => ({
    free(buffer) {
      if (!freed.has(buffer)) device.free(buffer)
      freed.add(buffer)
    },
  }))
  expect(names[0]).toBe('refuses to use or free a buffer that was freed')
})

it('memory must be given back', async () => {
  const names = await failing(() => ({ free() {} }))
  expect(names).toContain('counts memory and comes back to where it was')
  expect(names).toContain('has freed all memory in the end')
})

it('reads must be copies of the moment', async () => {
  const names = await failing((device) => ({
    // Reads late: what was asked for after it comes before it.
    read: async (buffer, byteLength) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      return device.read(buffer, byteLength)
    },
  }))
  expect(names).toContain('runs and copies in the order in which they were asked for')
})

it('writes must take their bytes at once', async () => {
  const freed = new Set<DeviceBuffer>()
  const names = await failing((device) => ({
    write(buffer, bytes) {
      device.write(buffer, new Uint8Array(bytes.byteLength))
      // The buffer may be freed by then; the wrong bytes have been read before that.
      queueMicrotask(() => {
        if (!freed.has(buffer)) device.write(buffer, bytes)
      })
    },
    free(buffer) {
      freed.add(buffer)
      device.free(buffer)
    },
  }))
  expect(names).toContain('keeps what is written, of any length, and reads copies')
})

it('a closed device must refuse work', async () => {
  const names = await failing(() => ({ close: async () => {} }))
  expect(names).toEqual(['closes, and refuses work from then on'])
})

it('profiles must have an entry for each call', async () => {
  const names = await failing((device) => ({
    compile(program) {
      const executable = device.compile(program)
      return { ...executable, profile: async (buffers) => (await executable.profile(buffers)).slice(1) }
    },
  }))
  expect(names[0]).toBe('profiles every call, with the results of a run')
})

it('a backend that cannot run fails its tests with the reason', async () => {
  const backend: Backend = { name: 'reference', open: () => ({ unavailable: 'no adapter' }) }
  const tests = collectTests((run) => testBackend({ backend, kernels: referenceKernels, run })).slice(0, 1)
  expect([...(await failuresOf(tests)).values()]).toEqual([
    expect.stringContaining("Backend 'reference' cannot run here: no adapter"),
  ])
})
