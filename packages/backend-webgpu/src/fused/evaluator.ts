import type { FusedInstruction } from '@tessera/core'
import { laneOf, literal, scalar, vector, type Width } from '../wgsl/formats.ts'
import { computation } from '../wgsl/operations.ts'
import type { Shader } from '../wgsl/shader.ts'
import type { Nest } from './nest.ts'

/** Writes instructions of a body as WGSL. Each becomes a `let`; which ones stand where is up to the loops around them. */
export class Evaluator {
  readonly #nest: Nest
  readonly #shader: Shader
  /** Instructions computed four at a time. */
  readonly #isVector: (instruction: number) => boolean

  constructor(nest: Nest, shader: Shader, isVector: (instruction: number) => boolean) {
    this.#nest = nest
    this.#shader = shader
    this.#isVector = isVector
  }

  widthOf(instruction: number): Width {
    return this.#isVector(instruction) ? vector : scalar
  }

  /** The value of an instruction that stands before, in a width of the caller's choice that is not smaller than its own. */
  value(instruction: number, width: Width): string {
    const own = this.widthOf(instruction)
    if (own.lanes === width.lanes) return `v${instruction}`
    return `${width.type(laneOf(this.#instruction(instruction).dtype)!)}(v${instruction})`
  }

  /** Declares the value of an instruction. Positions are the names of the nest's walks. */
  emit(i: number): string[] {
    const instruction = this.#instruction(i)
    const width = this.widthOf(i)
    const declare = (value: string): string[] => [`let v${i} = ${value};`]
    switch (instruction.kind) {
      case 'constant':
        return declare(literal(instruction.value, instruction.dtype, width))
      case 'load': {
        const { name, strides, wish } = this.#nest.inputs[instruction.input]!
        // What is not in memory is a variable of that name.
        if (!wish) return declare(name)
        const access = this.#shader.access(wish)
        return declare(width.lanes === 1 ? access.load(name) : access.loadQuad(name, strides.at(-1)!))
      }
      case 'iota': {
        const { name, strides } = this.#nest.iotas[i]!
        const stride = strides.at(-1) ?? 0
        const number = (value: number): string => this.#shader.number(value)
        const first = instruction.offset === 0 ? `(${name})` : `(${name} + ${number(instruction.offset)})`
        const steps = stride === 0 ? '' : ` + vec4<i32>(0, 1, 2, 3) * ${number(stride)}`
        const integers = width.lanes === 1 ? first : `(vec4<i32>${first}${steps})`
        return [
          `let i${i} = ${integers};`,
          ...declare(computation({ op: 'cast', from: 'i32', dtype: instruction.dtype, width }, [`i${i}`])),
        ]
      }
      case 'compute': {
        const args = instruction.arguments.map((argument) => this.value(argument, width))
        const from = this.#instruction(instruction.arguments[0]!).dtype
        // `where` is about its branches, not its condition.
        const operand = instruction.op === 'where' ? instruction.dtype : from
        return declare(computation({ op: instruction.op, from: operand, dtype: instruction.dtype, width }, args))
      }
      case 'reduce':
        throw new Error(`instruction ${i} is a reduction: the loops compute it`)
    }
  }

  /** Stores the value that output `output` receives, at its position. */
  store(output: number, width: Width): string[] {
    const { name, strides, wish } = this.#nest.outputs[output]!
    const value = this.#nest.body.stores[output]!
    const access = this.#shader.access(wish!)
    if (width.lanes === 1) return access.store(name, `v${value}`)
    const wide = this.value(value, width)
    return wide.startsWith('v') && !wide.startsWith('vec')
      ? access.storeQuad(name, strides.at(-1)!, wide)
      : [`let stored${output} = ${wide};`, ...access.storeQuad(name, strides.at(-1)!, `stored${output}`)]
  }

  #instruction(i: number): FusedInstruction {
    return this.#nest.body.instructions[i]!
  }
}
