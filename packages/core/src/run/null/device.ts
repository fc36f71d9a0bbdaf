import { TesseraError } from '../../errors.ts'
import type { Backend, Device, DeviceBuffer, Executable, Limits, SelectedProgram } from '../../plugin/contract.ts'
import { BufferLedger, checkAllocation } from '../host/memory.ts'
import { verifyProgram } from '../host/verify.ts'

const limits: Limits = {
  gigaflops: 1,
  gigabytesPerSecond: 1,
  microsecondsPerCall: 1,
  alignment: 64,
  maximumBufferBytes: Number.MAX_SAFE_INTEGER,
  maximumOperands: 256,
}

/** What a null device has been asked to do since it was opened. */
export interface NullCounts {
  /** Programs compiled, and calls in them. */
  readonly programs: number
  readonly compiledCalls: number
  /** Runs of programs, and calls in them. */
  readonly runs: number
  readonly calls: number
  readonly allocations: number
  readonly bytesWritten: number
  readonly bytesRead: number
}

export interface NullDevice extends Device<'null'> {
  counts(): NullCounts
}

export interface NullBackend extends Backend<'null'> {
  open(): Promise<NullDevice>
}

function openNullDevice(): NullDevice {
  const ledger = new BufferLedger<DeviceBuffer>('null')
  const counts = { programs: 0, compiledCalls: 0, runs: 0, calls: 0, allocations: 0, bytesWritten: 0, bytesRead: 0 }

  const compile = ({ program, calls }: SelectedProgram<'null'>): Executable => {
    ledger.requireOpen('compile')
    verifyProgram(program, limits.alignment)
    for (const { call, kernel } of calls) kernel.build(call, limits)
    counts.programs++
    counts.compiledCalls += calls.length
    ledger.count(program.arenaBytes)
    let disposed = false
    const run = (buffers: readonly DeviceBuffer[]): void => {
      if (disposed)
        throw new TesseraError('EXECUTABLE_DISPOSED', 'run: this program has been disposed of. Compile it again.')
      ledger.requireBindings(program, buffers)
      counts.runs++
      counts.calls += calls.length
    }
    return {
      run,
      profile: async (buffers) => {
        run(buffers)
        return calls.map(() => 0)
      },
      dispose: () => {
        if (!disposed) ledger.count(-program.arenaBytes)
        disposed = true
      },
    }
  }

  return {
    backend: 'null',
    variant: 'null',
    threads: 1,
    limits,
    counts: () => ({ ...counts }),
    memory: () => ledger.memory(),
    allocate: (byteLength) => {
      ledger.requireOpen('allocate')
      checkAllocation(byteLength, limits.maximumBufferBytes)
      counts.allocations++
      return ledger.add({ byteLength })
    },
    free: (buffer) => {
      ledger.remove(buffer)
    },
    write: (buffer, bytes) => {
      ledger.requireBytes(buffer, bytes.byteLength, 'write')
      counts.bytesWritten += bytes.byteLength
    },
    read: async (buffer, byteLength) => {
      ledger.requireBytes(buffer, byteLength, 'read')
      counts.bytesRead += byteLength
      return new Uint8Array(byteLength)
    },
    readNow: (buffer, byteLength) => {
      ledger.requireBytes(buffer, byteLength, 'read')
      counts.bytesRead += byteLength
      return new Uint8Array(byteLength)
    },
    compile,
    synchronize: async () => ledger.requireOpen('synchronize'),
    close: async () => ledger.close(),
  }
}

/**
 * Plans and compiles everything and computes nothing: its memory is only counted and reads as zeros. It shows what
 * planning costs, and lets tests look at programs far larger than memory.
 */
export const nullBackend: NullBackend = {
  name: 'null',
  open: async () => openNullDevice(),
}
