import type { OpCall, Operand, Program, ProgramBuffer } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { type Expression, i32 } from '../assembler/index.ts'
import type { WasmCallPlan, WasmFunction, WasmStep } from './contract.ts'
import { functionLibrary } from './library.ts'
import { barriersBefore, link, type PlannedCall } from './link.ts'

const nothing: WasmFunction = {
  name: 'test.nothing',
  parameters: { address: 'i32' },
  define: (module) => module.function('nothing', { address: 'i32' }, 'void', () => {}),
}
const step: WasmStep = { function: nothing, arguments: [{ kind: 'output', index: 0 }] }

const operand = (buffer: number): Operand => ({ buffer, dtype: 'f32', view: { shape: [16], strides: [1], offset: 0 } })
const call = (inputs: number[], outputs: number[], plan: WasmCallPlan = { steps: [step] }): PlannedCall => ({
  call: { op: 'matmul', attributes: {}, inputs: inputs.map(operand), outputs: outputs.map(operand) } as OpCall,
  plan,
})

/** Inputs 0 and 1, output 2 in the memory of 0, temporaries 3, 4 and 5, of which 3 and 5 lie at one place. */
const buffers: readonly ProgramBuffer[] = [
  { id: 0, byteLength: 64, role: 'input' },
  { id: 1, byteLength: 64, role: 'input' },
  { id: 2, byteLength: 64, role: 'output', donatedFrom: 0 },
  { id: 3, byteLength: 64, role: 'temporary', offset: 0 },
  { id: 4, byteLength: 64, role: 'temporary', offset: 64 },
  { id: 5, byteLength: 64, role: 'temporary', offset: 0 },
]
const program: Program = { buffers, calls: [], inputs: [0, 1], outputs: [2], arenaBytes: 128 }
const barriers = (...calls: PlannedCall[]): number[] => [...barriersBefore(program, calls)]

describe('barriersBefore', () => {
  it('lets calls run on that share nothing but what they read', () => {
    expect(barriers(call([0, 1], [3]), call([0, 1], [4]))).toEqual([])
  })

  it('waits before reading what was written, and before overwriting what was read', () => {
    expect(barriers(call([1], [3]), call([3], [4]))).toEqual([1])
    expect(barriers(call([3], [4]), call([1], [3]))).toEqual([1])
  })

  it('looks at places in memory, not at names', () => {
    expect(barriers(call([3], [4]), call([1], [5]))).toEqual([1])
    expect(barriers(call([0], [3]), call([1], [2]))).toEqual([1])
  })

  it('forgets what happened before a barrier', () => {
    expect(barriers(call([1], [3]), call([3], [4]), call([1], [3]), call([1], [2]))).toEqual([1, 2])
  })

  it('waits between the steps of a call, and for shared scratch memory', () => {
    expect(barriers(call([1], [3], { steps: [step, step] }), call([1], [4]))).toEqual([1])
    const scratch = { steps: [step], sharedScratchBytes: 64 }
    expect(barriers(call([1], [3], scratch), call([1], [4], scratch))).toEqual([1])
  })

  it('does not wait between calls that thread 0 runs by itself, nor between their steps, but before and after them', () => {
    const alone = (...given: Parameters<typeof call>): PlannedCall => ({ ...call(...given), isAlone: true })
    expect(barriers(alone([1], [3], { steps: [step, step] }), alone([3], [4]), alone([4], [2]))).toEqual([])
    expect(barriers(call([1], [3]), alone([3], [4]), alone([4], [5]), call([5], [2]))).toEqual([1, 3])
  })
})

describe('link', () => {
  const library = functionLibrary('plain', false)
  const linked = (given: WasmStep) => link(program, [call([1], [3], { steps: [given] })], library, 4096)

  it('computes each unit once, with what follows, whichever thread takes it', () => {
    const parameters = { address: 'i32', unit: 'i32' } as const
    const count = (name: string, value: (old: Expression<'i32'>) => Expression<'i32'>): WasmFunction => ({
      name,
      parameters,
      define: (module) =>
        module.function(name, parameters, 'void', (fn, { address, unit }) => {
          const at = fn.local('i32', 'at', i32.add(address, i32.shl(unit, 2)))
          fn.store('i32', at, value(i32.load(at)))
        }) as unknown as ReturnType<WasmFunction['define']>,
    })
    const given = [{ kind: 'output', index: 0 }, { kind: 'unit' }] as const
    const plan: WasmCallPlan = {
      steps: [
        {
          function: count('test.add', (old) => i32.add(old, 1)),
          arguments: given,
          units: 5,
          after: [{ function: count('test.double', (old) => i32.mul(old, 2)), arguments: given }],
        },
      ],
    }
    const shared = functionLibrary('plain', true)
    const made = link(program, [call([0], [3], plan)], shared, 4096)
    expect(made).toMatchObject({ counterOffset: 0, counterBytes: 64 })
    shared.require(made.functions)
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })
    const device = { memory, check: () => {} }
    const used: Record<string, WebAssembly.ExportValue> = {}
    for (const { name } of made.functions)
      used[name] = new WebAssembly.Instance(shared.get(name).module, { device }).exports[name]!
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(made.module.toBytes()), {
      device,
      library: used,
    })
    const words = new Int32Array(memory.buffer)
    // The arena, where buffer 3 lies, begins at byte 1024; the table of bindings is at 512.
    words[128] = 1024
    for (const thread of [1, 0]) (exports.runStep as (...given: number[]) => void)(0, 512, thread, 2)
    expect([...words.subarray(256, 262)]).toEqual([2, 2, 2, 2, 2, 0])
  })

  it('refuses a step with too few arguments', () => {
    expect(() => linked({ function: nothing, arguments: [] })).toThrowError(
      /'test.nothing' takes 1 arguments \(address\), the step gives 0/,
    )
  })

  it('refuses an argument of the wrong type, or an operand that the call does not have', () => {
    expect(() => linked({ function: nothing, arguments: [{ kind: 'f32', value: 1 }] })).toThrowError(
      /parameter 'address' .* is i32/,
    )
    expect(() => linked({ function: nothing, arguments: [{ kind: 'input', index: 1 }] })).toThrowError(
      /parameter 'address'/,
    )
  })
})
