import { TesseraError } from '../../errors.ts'
import { formatOf } from '../../graph/format.ts'
import { formatShape } from '../../graph/shape.ts'
import { viewBounds } from '../../graph/view.ts'
import type { Program, ProgramBuffer } from '../../schedule/program.ts'

/**
 * Checks what every backend takes for granted of a program: operands stay inside their buffers, temporaries lie inside
 * the arena, aligned, and share memory only when their lifetimes are apart, inputs are not written, and donated memory is large enough.
 * It does not check the views of operands that share a buffer.
 *
 * @throws TesseraError `PROGRAM_INVALID`
 */
export function verifyProgram(program: Program, alignment: number): void {
  const buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
  const lookUp = (id: number, where: string): ProgramBuffer =>
    buffers.get(id) ?? fail(`${where} uses buffer ${id}, which the program does not have.`)

  for (const [role, ids] of [
    ['input', program.inputs],
    ['output', program.outputs],
  ] as const) {
    for (const id of ids) {
      const buffer = lookUp(id, `The list of ${role}s`)
      if (buffer.role !== role) fail(`buffer ${id} is listed as an ${role} but has the role '${buffer.role}'.`)
    }
    const declared = program.buffers.filter((buffer) => buffer.role === role)
    if (declared.length !== ids.length || new Set(ids).size !== ids.length) {
      fail(`${declared.length} buffers have the role '${role}', the program lists [${ids.join(', ')}].`)
    }
  }
  for (const buffer of program.buffers) verifyBuffer(program, buffer, alignment, lookUp)

  const lifetimes = new Map<number, { first: number; last: number }>()
  program.calls.forEach((call, index) => {
    const where = `call ${index} (${call.op})`
    for (const operand of [...call.inputs, ...call.outputs]) {
      const buffer = lookUp(operand.buffer, where)
      const elements = Math.floor(buffer.byteLength / formatOf(operand.dtype).bytes)
      const bounds = viewBounds(operand.view)
      if (bounds && (bounds.first < 0 || bounds.last >= elements)) {
        const { shape, strides, offset } = operand.view
        fail(
          `${where} reaches elements ${bounds.first} to ${bounds.last} of buffer ${buffer.id}, which holds ${elements} of ` +
            `${operand.dtype}: shape ${formatShape(shape)}, strides [${strides.join(', ')}], offset ${offset}.`,
        )
      }
      const lifetime = lifetimes.get(buffer.id)
      if (lifetime) lifetime.last = index
      else lifetimes.set(buffer.id, { first: index, last: index })
    }
    for (const { buffer } of call.outputs) {
      if (lookUp(buffer, where).role === 'input')
        fail(`${where} writes buffer ${buffer}, an input. Donate it to an output instead.`)
    }
    for (const { buffer } of call.inputs) {
      // Only a call before this one can have written it.
      if (lookUp(buffer, where).role === 'temporary' && lifetimes.get(buffer)!.first === index) {
        fail(`${where} reads temporary ${buffer} before any call has written it.`)
      }
    }
  })
  verifyLifetimes(program, lifetimes)
}

function verifyBuffer(
  program: Program,
  buffer: ProgramBuffer,
  alignment: number,
  lookUp: (id: number, where: string) => ProgramBuffer,
): void {
  const { id, role, offset, byteLength, donatedFrom } = buffer
  if (role === 'temporary') {
    if (offset === undefined || offset % alignment !== 0 || offset < 0 || offset + byteLength > program.arenaBytes) {
      fail(
        `temporary ${id} of ${byteLength} bytes has offset ${offset}: it must be a multiple of ${alignment} inside the arena of ${program.arenaBytes} bytes.`,
      )
    }
  }
  if (donatedFrom === undefined) return
  const donor = lookUp(donatedFrom, `Buffer ${id}`)
  if (role !== 'output' || donor.role !== 'input' || donor.byteLength < byteLength) {
    fail(
      `${role} ${id} of ${byteLength} bytes cannot take over ${donor.role} ${donor.id} of ${donor.byteLength} bytes: only an output can, from an input that is large enough.`,
    )
  }
}

/** Temporaries may overlap in memory only when one has died before, or in, the call that first writes the other. */
function verifyLifetimes(program: Program, lifetimes: ReadonlyMap<number, { first: number; last: number }>): void {
  const temporaries = program.buffers
    .filter((buffer) => buffer.role === 'temporary' && buffer.byteLength > 0 && lifetimes.has(buffer.id))
    .map((buffer) => ({ ...buffer, ...lifetimes.get(buffer.id)!, offset: buffer.offset! }))
    .sort((a, b) => a.first - b.first)
  let alive: typeof temporaries = []
  for (const next of temporaries) {
    alive = alive.filter((other) => other.last > next.first || other.first === next.first)
    for (const other of alive) {
      if (other.offset < next.offset + next.byteLength && next.offset < other.offset + other.byteLength) {
        fail(
          `temporaries ${other.id} and ${next.id} share arena bytes and live at once: calls ${other.first} to ${other.last} ` +
            `and ${next.first} to ${next.last}.`,
        )
      }
    }
    alive.push(next)
  }
}

function fail(message: string): never {
  throw new TesseraError('PROGRAM_INVALID', `Invalid program: ${message}`)
}
