import { describe, expect, it } from 'vitest'
import type { Program } from '../../schedule/program.ts'
import { ProgramBuilder, withView } from '../../testing/programs.ts'
import { verifyProgram } from './verify.ts'

/** x → t → u → y, three copies. */
function chain(): Program {
  const builder = new ProgramBuilder()
  const [x, y] = [builder.input('f32', [16]), builder.output('f32', [16])]
  const [t, u] = [builder.temporary('f32', [16]), builder.temporary('f32', [16])]
  for (const [from, to] of [
    [x, t],
    [t, u],
    [u, y],
  ] as const)
    builder.map([16], (body) => body.store(to, body.load(from)))
  return builder.build()
}
const change = (program: Program, id: number, to: Partial<Program['buffers'][number]>): Program => ({
  ...program,
  buffers: program.buffers.map((buffer) => (buffer.id === id ? { ...buffer, ...to } : buffer)),
})
const verify = (program: Program) => () => verifyProgram(program, 256)

describe('verifyProgram', () => {
  it('takes a sound program', () => {
    expect(verify(chain())).not.toThrow()
  })

  it('takes temporaries that share memory when one dies where the other begins, not when both are alive', () => {
    // t is read by call 1, which writes u: the two may be one place.
    expect(verify(change(chain(), 3, { offset: 0 }))).not.toThrow()
    const program = chain()
    const longer = { ...program, calls: [...program.calls, { ...program.calls[2]!, inputs: program.calls[1]!.inputs }] }
    expect(verify(longer)).not.toThrow()
    expect(verify(change(longer, 3, { offset: 0 }))).toThrow(
      /temporaries 2 and 3 share arena bytes and live at once: calls 0 to 3 and 1 to 2/,
    )
  })

  it('finds temporaries outside the arena or out of line', () => {
    expect(verify(change(chain(), 3, { offset: 512 }))).toThrow(/temporary 3 of 64 bytes has offset 512/)
    expect(verify(change(chain(), 3, { offset: 8 }))).toThrow(/multiple of 256/)
  })

  it('finds views that leave their buffer', () => {
    expect(verify(change(chain(), 0, { byteLength: 60 }))).toThrow(
      /call 0 \(fused\) reaches elements 0 to 15 of buffer 0, which holds 15 of f32/,
    )
    const builder = new ProgramBuilder()
    const x = withView(builder.input('f32', [4]), (view) => ({ ...view, strides: [-1] }))
    const y = builder.output('f32', [4])
    builder.map([4], (body) => body.store(y, body.load(x)))
    expect(verify(builder.build())).toThrow(/reaches elements -3 to 0/)
  })

  it('finds writes to inputs, and reads of what nothing has written', () => {
    const writing = new ProgramBuilder()
    const x = writing.input('f32', [4])
    writing.map([4], (body) => body.store(x, body.constant(1)))
    expect(verify(writing.build())).toThrow(/writes buffer 0, an input/)
    const reading = new ProgramBuilder()
    const [t, y] = [reading.temporary('f32', [4]), reading.output('f32', [4])]
    reading.map([4], (body) => body.store(y, body.load(t)))
    expect(verify(reading.build())).toThrow(/reads temporary 0 before any call has written it/)
  })

  it('finds roles that do not agree with the lists, and memory that cannot be taken over', () => {
    expect(verify({ ...chain(), inputs: [] })).toThrow(/1 buffers have the role 'input', the program lists \[\]/)
    expect(verify({ ...chain(), outputs: [0] })).toThrow(/buffer 0 is listed as an output but has the role 'input'/)
    expect(verify({ ...chain(), outputs: [9] })).toThrow(/uses buffer 9/)
    expect(verify(change(change(chain(), 0, { byteLength: 32 }), 1, { donatedFrom: 0 }))).toThrow(
      /output 1 of 64 bytes cannot take over input 0 of 32 bytes/,
    )
  })
})
