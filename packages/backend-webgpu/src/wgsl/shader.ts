import type { Operand } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import type { CallMemory, MemoryRange, WebGpuDispatch, WebGpuEnvironment } from '../program/contract.ts'
import {
  elementsPerWord,
  type Lane,
  laneOf,
  packElement,
  scalar,
  unpackElement,
  vector,
  type Width,
} from './formats.ts'
import { helpersOf } from './library.ts'

/** How a shader reaches an operand. */
export interface AccessWish {
  readonly operand: Operand
  readonly writes: boolean
  /** Only four elements at a time, at positions that are multiples of four. */
  readonly quads: boolean
}

/** A storage buffer of a shader. */
interface Binding {
  readonly name: string
  readonly range: MemoryRange
  /** WGSL type of one element, for example `vec4<f32>`. */
  readonly element: string
}

/** A way to load and store the elements of one operand. Positions are WGSL expressions (i32) that count from the view's own offset. */
export interface Access {
  readonly operand: Operand
  load(position: string): string
  /** Four elements from a position on, `stride` apart; stride 1 needs a position that is a multiple of four if the access is by quads. */
  loadQuad(position: string, stride: number): string
  store(position: string, value: string): string[]
  storeQuad(position: string, stride: number, value: string): string[]
}

/** Scratch memory as words of a type. */
export interface ScratchAccess {
  load(position: string): string
  store(position: string, value: string): string
  /** The WGSL reference, for atomics. */
  reference(position: string): string
}

const parts = ['x', 'y', 'z', 'w'] as const

/**
 * One compute shader in the making: which buffers it binds and as what, how operands are loaded and stored in their formats, and which
 * helper functions it calls.
 *
 * Operands that share memory share a binding. A buffer whose bytes or halves are stored one by one is bound as atomic words, so that
 * invocations can write different parts of one word.
 */
export class Shader {
  readonly environment: WebGpuEnvironment
  readonly #bindings: Binding[] = []
  readonly #accesses = new Map<AccessWish, Access>()
  readonly #words = new Map<AccessWish, (word: string) => string>()
  readonly #declarations: string[] = []
  /** Fields of the uniform buffer, by name. */
  readonly #parameters = new Map<string, number>()

  constructor(environment: WebGpuEnvironment, memory: CallMemory, wishes: readonly AccessWish[]) {
    this.environment = environment
    const byRange = new Map<MemoryRange, AccessWish[]>()
    for (const wish of wishes) {
      const { range } = memory.locate(wish.operand)
      byRange.set(range, [...(byRange.get(range) ?? []), wish])
    }
    for (const [range, sharing] of byRange) {
      const binding = this.#bind(range, elementFor(sharing, memory, environment.features.f16))
      for (const wish of sharing) {
        const { firstByte } = memory.locate(wish.operand)
        this.#accesses.set(
          wish,
          accessOf(wish, binding, firstByte, (value) => this.number(value)),
        )
        this.#words.set(wish, (word) => this.#word(wish.operand, binding, firstByte, word))
      }
    }
  }

  access(wish: AccessWish): Access {
    return this.#accesses.get(wish)!
  }

  /** Words of an operand of bytes as they lie in memory, counted from its first element, which must start a word. */
  words(wish: AccessWish): (word: string) => string {
    return this.#words.get(wish)!
  }

  scratch(range: MemoryRange, element: string): ScratchAccess {
    const { name } = this.#bindings.find((binding) => binding.range === range) ?? this.#bind(range, element)
    return {
      load: (position) => `${name}[${position}]`,
      store: (position, value) => `${name}[${position}] = ${value};`,
      reference: (position) => `&${name}[${position}]`,
    }
  }

  /**
   * An integer that only says how large something is: part of the parameters, so that a shader serves all sizes. 0 and 1, which shape the
   * code, stay literals.
   */
  number(value: number): string {
    if (value === 0 || value === 1) return `${value}`
    const name = `p${this.#ordinal(value)}`
    this.#parameters.set(name, value)
    return `parameters.${name}`
  }

  /**
   * An integer with a parameter of its own, whatever its value: dispatches that differ in it share a shader. Those of a call that is cut into
   * parts name the part's begin so.
   */
  ownNumber(value: number): string {
    const name = `own${this.#parameters.size}`
    this.#parameters.set(name, value)
    return `parameters.${name}`
  }

  /** Module-scope text, for example workgroup variables. */
  declare(text: string): void {
    this.#declarations.push(text)
  }

  /**
   * The dispatch of this shader.
   *
   * @param body statements of `main`; they see `group: vec3<u32>` (the workgroup) and `local: u32` (the invocation in it)
   */
  dispatch(options: {
    readonly name: string
    readonly body: readonly string[]
    readonly workgroupSize: number
    readonly workgroups: readonly [number, number, number]
    /** Invocations of each subgroup, if they are to be numbered along subgroups: see `subgroupOf`. */
    readonly subgroup?: number | undefined
  }): WebGpuDispatch {
    const { name, body, workgroupSize, workgroups, subgroup } = options
    const names = [...this.#parameters.keys()]
    const declarations = this.#bindings.map(
      ({ name: variable, range, element }, i) =>
        `@group(0) @binding(${i}) var<storage, ${range.access}> ${variable}: array<${element}>;`,
    )
    if (names.length > 0) {
      declarations.push(
        `struct Parameters { ${names.map((field) => `${field}: i32`).join(', ')} }`,
        `@group(0) @binding(${this.#bindings.length}) var<uniform> parameters: Parameters;`,
      )
    }
    const own = subgroup
      ? '@builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) inSubgroup: u32'
      : '@builtin(local_invocation_index) local: u32'
    const main = [
      `@compute @workgroup_size(${workgroupSize})`,
      `fn main(@builtin(workgroup_id) group: vec3<u32>, ${own}) {`,
      ...(subgroup ? [`  let local = subgroup * ${subgroup}u + inSubgroup;`] : []),
      ...indented(body),
      '}',
    ]
    const text = [...this.#declarations, ...main].join('\n')
    const helpers = helpersOf(text)
    const enabled = [
      ...([...declarations, text].some((part) => /\bf16\b/.test(part)) ? ['enable f16;'] : []),
      ...(subgroup ? ['enable subgroups;'] : []),
    ]
    return {
      name,
      code: [...enabled, ...declarations, ...(helpers ? [helpers] : []), text].join('\n'),
      bindings: this.#bindings.map(({ range }) => range),
      ...(names.length > 0 && { parameters: Uint32Array.from(this.#parameters.values(), (value) => value >>> 0) }),
      workgroups,
    }
  }

  #word({ view }: Operand, { name, element }: Binding, firstByte: number, word: string): string {
    const first = (firstByte + view.offset) / 4
    const index = first === 0 ? word : `(${word} + ${this.number(first)})`
    return element.startsWith('atomic') ? `atomicLoad(&${name}[${index}])` : `${name}[${index}]`
  }

  /** Equal numbers share a parameter, numbered in the order of first use. */
  #ordinal(value: number): number {
    let ordinal = 0
    for (const [name, known] of this.#parameters) {
      if (known === value && name.startsWith('p')) return ordinal
      ordinal++
    }
    return ordinal
  }

  #bind(range: MemoryRange, element: string): Binding {
    const binding = { name: `memory${this.#bindings.length}`, range, element }
    this.#bindings.push(binding)
    return binding
  }
}

/** Lines one level deeper. */
export const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`)

/** The type of a binding's elements that suits all of its accesses. */
function elementFor(wishes: readonly AccessWish[], memory: CallMemory, hasF16: boolean): string {
  // Halves that the adapter loads and stores itself need no atomics.
  if (hasF16 && wishes.every(({ operand }) => operand.dtype === 'f16')) {
    return wishes.every(({ operand, quads }) => quads && memory.locate(operand).firstByte % 8 === 0)
      ? 'vec4<f16>'
      : 'f16'
  }
  const packed = wishes.filter(({ operand }) => elementsPerWord(operand.dtype) > 1)
  if (packed.some(({ writes, quads }) => writes && !quads)) return 'atomic<u32>'
  if (packed.length > 0) return 'u32'
  const types = new Set(wishes.map(({ operand }) => operand.dtype))
  const type = types.size === 1 ? [...types][0]! : 'u32'
  const aligned = wishes.every(({ operand, quads }) => quads && memory.locate(operand).firstByte % 16 === 0)
  return aligned ? `vec4<${type}>` : type
}

function accessOf(
  { operand, quads }: AccessWish,
  { name, element }: Binding,
  firstByte: number,
  number: (value: number) => string,
): Access {
  const { dtype } = operand
  const lane = laneOf(dtype)
  if (!lane) {
    throw new TesseraError('UNSUPPORTED', `webgpu: shaders cannot compute with '${dtype}'. Cast it to f32 first.`)
  }
  const perWord = elementsPerWord(dtype)
  const firstElement = firstByte / (4 / perWord) + operand.view.offset
  const first = number(firstElement)
  const at = (position: string): string => (firstElement === 0 ? position : `(${position} + ${first})`)
  const isAtomic = element.startsWith('atomic')
  const isVector = element.startsWith('vec4')
  const stored = isAtomic ? 'u32' : isVector ? element.slice(5, -1) : element
  const word = (index: string): string =>
    isAtomic
      ? `atomicLoad(&${name}[${index}])`
      : isVector
        ? `${name}[${index} >> 2u][${index} & 3]`
        : `${name}[${index}]`
  const convert = (value: string, from: string, to: string, width: Width = scalar): string =>
    from === to ? value : `bitcast<${width.type(to as Lane)}>(${value})`

  if (element.endsWith('f16') || element === 'vec4<f16>') {
    const one = (position: string): string =>
      isVector ? `${name}[${at(position)} >> 2u][${at(position)} & 3]` : `${name}[${at(position)}]`
    const load = (position: string): string => `f32(${one(position)})`
    // By bits: a conversion may round as it likes.
    const pair = (a: string, b: string): string => `bitcast<vec2<f16>>(encodeF16(${a}) | (encodeF16(${b}) << 16u))`
    const store = (position: string, value: string): string =>
      `${one(position)} = bitcast<vec2<f16>>(encodeF16(${value})).x;`
    const isWhole = (stride: number): boolean => isVector && stride === 1 && quads
    return {
      operand,
      load,
      loadQuad: (position, stride) =>
        isWhole(stride) ? `vec4<f32>(${name}[${at(position)} >> 2u])` : gathered(lane, position, stride, load, number),
      store: (position, value) => [store(position, value)],
      storeQuad: (position, stride, value) =>
        isWhole(stride)
          ? [
              `${name}[${at(position)} >> 2u] = vec4<f16>(${pair(`${value}.x`, `${value}.y`)}, ${pair(`${value}.z`, `${value}.w`)});`,
            ]
          : quadPositions(position, stride, number).map((each, i) => store(each, `${value}.${parts[i]}`)),
    }
  }

  if (perWord === 1) {
    const load = (position: string): string => convert(word(at(position)), stored, lane)
    const storeOne = (position: string, value: string): string => {
      const index = at(position)
      const bits = convert(value, lane, stored)
      if (isAtomic) return `atomicStore(&${name}[${index}], ${bits});`
      return `${isVector ? `${name}[${index} >> 2u][${index} & 3]` : `${name}[${index}]`} = ${bits};`
    }
    return {
      operand,
      load,
      loadQuad: (position, stride) =>
        isVector && stride === 1 && quads
          ? convert(`${name}[${at(position)} >> 2u]`, stored, lane, vector)
          : gathered(lane, position, stride, load, number),
      store: (position, value) => [storeOne(position, value)],
      storeQuad: (position, stride, value) =>
        isVector && stride === 1 && quads
          ? [`${name}[${at(position)} >> 2u] = ${convert(value, lane, stored, vector)};`]
          : quadPositions(position, stride, number).map((one, i) => storeOne(one, `${value}.${parts[i]}`)),
    }
  }

  const wordShift = perWord === 4 ? 2 : 1
  const bits = 32 / perWord
  const element1 = (index: string): string =>
    unpackElement(
      convert(word(`(${index} >> ${wordShift}u)`), stored, 'u32'),
      `(u32(${index}) & ${perWord - 1}u)`,
      dtype,
    )
  const load = (position: string): string => element1(at(position))
  const store = (position: string, value: string): string[] => {
    if (!isAtomic) throw new TesseraError('INTERNAL', `webgpu: elements of ${dtype} are stored one by one.`)
    const mask = bits === 8 ? '0xffu' : '0xffffu'
    return [
      '{',
      `  let index = ${at(position)};`,
      `  let shift = (u32(index) & ${perWord - 1}u) * ${bits}u;`,
      `  atomicAnd(&${name}[index >> ${wordShift}u], ~(${mask} << shift));`,
      `  atomicOr(&${name}[index >> ${wordShift}u], ${packElement(value, dtype)} << shift);`,
      '}',
    ]
  }
  return {
    operand,
    load,
    loadQuad: (position, stride) => gathered(lane, position, stride, load, number),
    store,
    storeQuad: (position, stride, value) => {
      if (isAtomic || stride !== 1 || !quads) {
        return quadPositions(position, stride, number).flatMap((one, i) => store(one, `${value}.${parts[i]}`))
      }
      const packedWord = (first: number): string =>
        Array.from({ length: perWord }, (_, i) => {
          const one = packElement(`${value}.${parts[first + i]}`, dtype)
          return i === 0 ? one : `(${one} << ${i * bits}u)`
        }).join(' | ')
      const index = `(${at(position)} >> ${wordShift}u)`
      const words = perWord === 4 ? [0] : [0, 2]
      return words.map(
        (first, i) => `${name}[${index}${i === 0 ? '' : ' + 1'}] = ${convert(packedWord(first), 'u32', stored)};`,
      )
    },
  }
}

/** Four elements loaded one by one, or one that is repeated. */
const gathered = (
  lane: Lane,
  position: string,
  stride: number,
  load: (position: string) => string,
  number: (value: number) => string,
): string =>
  `vec4<${lane}>(${(stride === 0 ? [position] : quadPositions(position, stride, number)).map(load).join(', ')})`

const quadPositions = (position: string, stride: number, number: (value: number) => string): string[] =>
  [0, 1, 2, 3].map((i) => {
    if (i === 0) return position
    return stride === 1 ? `(${position} + ${i})` : `(${position} + ${i} * ${number(stride)})`
  })
