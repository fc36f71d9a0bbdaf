import type { Kernel, OpCall, Operand } from '@tessera/core'
import { formatOf, sizeOf } from '@tessera/core'
import { foldWorkgroups } from '../fused/groups.ts'
import type { CallMemory, MemoryRange, WebGpuCallPlan, WebGpuDispatch, WebGpuEnvironment } from '../program/contract.ts'
import { laneOf, scalar } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { computation } from '../wgsl/operations.ts'
import { Shader } from '../wgsl/shader.ts'
import { lookupStrides } from './gather.ts'

const workgroupSize = 64
const none = '0xffffffffu'

/**
 * Additions and writes along one axis, without float atomics: results are the same in every run. Updates of one index are linked in their
 * order, then every element walks along its list.
 */
export const scatterKernel: Kernel<'scatter', 'webgpu'> = {
  name: 'webgpu-scatter',
  op: 'scatter',
  backend: 'webgpu',
  tolerance: 1e-6,
  cost(call, { gigabytesPerSecond, microsecondsPerCall }) {
    const [base, indices, updates] = call.inputs
    const output = call.outputs[0]
    if (!base || !indices || !updates || !output) return undefined
    if (base.dtype !== output.dtype || updates.dtype !== output.dtype || laneOf(output.dtype) === undefined)
      return undefined
    if (output.dtype === 'bool' && call.attributes.mode === 'add') return undefined
    if (indices.dtype !== 'i32' && indices.dtype !== 'u32') return undefined
    const elements = 2 * sizeOf(output.view.shape) + sizeOf(updates.view.shape)
    return 3 * microsecondsPerCall + (elements * formatOf(output.dtype).bytes) / (1000 * gigabytesPerSecond)
  },
  build: (call) => (environment, memory) => new ScatterPlan(call, environment, memory).plan(),
}

class ScatterPlan {
  readonly #environment: WebGpuEnvironment
  readonly #memory: CallMemory
  readonly #base: Operand
  readonly #indices: Operand
  readonly #updates: Operand
  readonly #output: Operand
  readonly #axis: number
  readonly #adds: boolean
  /** Number of updates, and of positions along the axis. */
  readonly #count: number
  readonly #extent: number

  constructor(call: OpCall<'scatter'>, environment: WebGpuEnvironment, memory: CallMemory) {
    this.#environment = environment
    this.#memory = memory
    ;[this.#base, this.#indices, this.#updates] = call.inputs as readonly [Operand, Operand, Operand]
    this.#output = call.outputs[0]!
    this.#axis = call.attributes.axis
    this.#adds = call.attributes.mode === 'add'
    this.#count = sizeOf(this.#indices.view.shape)
    this.#extent = this.#output.view.shape[this.#axis]!
  }

  plan(): WebGpuCallPlan {
    if (sizeOf(this.#output.view.shape) === 0) return { dispatches: [] }
    /** For each position of the axis its first update (the last one to `set`), and for each update the next one of the same position. */
    const first = this.#memory.scratch(4 * this.#extent)
    const next = this.#memory.scratch(4 * Math.max(1, this.#count))
    const isInPlace = sameElements(this.#base, this.#output)
    if (this.#count === 0) return { dispatches: isInPlace ? [] : [this.#clear(first), this.#everyElement(first, next)] }
    return {
      dispatches: [
        this.#clear(first),
        this.#link(first, next),
        isInPlace ? this.#updatedElements(first, next) : this.#everyElement(first, next),
      ],
    }
  }

  #clear(first: MemoryRange): WebGpuDispatch {
    const shader = new Shader(this.#environment, this.#memory, [])
    const heads = shader.scratch(first, 'u32')
    const { index, workgroups } = this.#groups(this.#extent, shader)
    const body = [
      `let position = ${index} * ${workgroupSize} + i32(local);`,
      `if (position < ${shader.number(this.#extent)}) { ${heads.store('position', this.#adds ? none : '0u')} }`,
    ]
    return shader.dispatch({ name: 'scatter clear', body, workgroupSize, workgroups })
  }

  #link(first: MemoryRange, next: MemoryRange): WebGpuDispatch {
    const wish = { operand: this.#indices, writes: false, quads: false }
    const shader = new Shader(this.#environment, this.#memory, [wish])
    const heads = shader.scratch(first, 'atomic<u32>')
    const { index, workgroups } = this.#groups(this.#count, shader)
    const { shape, strides } = this.#indices.view
    const axes = shape.map((extent, axis) => ({ extent, strides: [strides[axis]!] }))
    const number = numbersOf(shader)
    const load = (position: string): string => `u32(${shader.access(wish).load(position)})`
    const body = [
      `let update = ${index} * ${workgroupSize} + i32(local);`,
      `if (update >= ${number(this.#count)}) { return; }`,
      ...positionsOf('update', axes, ['updateAt'], number),
      `let place = ${load('updateAt')};`,
      // Negative indices are large numbers.
      `if (place >= u32(${number(this.#extent)})) { return; }`,
    ]
    if (this.#adds) {
      const links = shader.scratch(next, 'u32')
      body.push(
        `atomicMin(${heads.reference('place')}, u32(update));`,
        'var other = update + 1;',
        `for (; other < ${number(this.#count)}; other++) {`,
        ...positionsOf('other', axes, ['otherAt'], number).map((line) => `  ${line}`),
        `  if (${load('otherAt')} == place) { break; }`,
        '}',
        links.store('update', `select(u32(other), ${none}, other >= ${number(this.#count)})`),
      )
    } else body.push(`atomicMax(${heads.reference('place')}, u32(update) + 1u);`)
    return shader.dispatch({ name: 'scatter link', body, workgroupSize, workgroups })
  }

  /** Computes all elements of the output from those of the base. */
  #everyElement(first: MemoryRange, next: MemoryRange): WebGpuDispatch {
    const shape = this.#output.view.shape
    const axis = this.#axis
    const indexRank = this.#indices.view.shape.length
    const updateStrides = this.#updates.view.strides
    const over = [...updateStrides.slice(0, axis), 0, ...updateStrides.slice(axis + indexRank)]
    return this.#elements(first, next, {
      domain: shape,
      walks: [
        this.#base.view.strides,
        this.#output.view.strides,
        over,
        shape.map((_, other) => (other === axis ? 1 : 0)),
      ],
      prepare: ['let place = indexAt;', 'var update = HEAD;'],
    })
  }

  /** Computes the elements that have updates; the invocation of the first update (the last to `set`) does. */
  #updatedElements(first: MemoryRange, next: MemoryRange): WebGpuDispatch {
    const shape = this.#updates.view.shape
    const axis = this.#axis
    const indexRank = this.#indices.view.shape.length
    const over = lookupStrides(this.#output, this.#indices, axis)
    const ranks = new Array<number>(shape.length).fill(0)
    for (let at = axis + indexRank - 1, step = 1; at >= axis; at--) {
      ranks[at] = step
      step *= shape[at]!
    }
    const outside = this.#updates.view.strides.map((stride, at) => (at >= axis && at < axis + indexRank ? 0 : stride))
    const stride = this.#output.view.strides[axis]!
    return this.#elements(first, next, {
      domain: shape,
      walks: [over.source, over.source, outside, over.indices, ranks],
      prepare: [
        'let place = u32(INDEX);',
        'if (place >= u32(EXTENT)) { return; }',
        'var update = HEAD;',
        `if (update != u32(rank)${this.#adds ? '' : ' + 1u'}) { return; }`,
      ],
      axisStride: stride,
    })
  }

  #elements(
    first: MemoryRange,
    next: MemoryRange,
    loops: {
      readonly domain: readonly number[]
      /** Of base, output, updates, indices (or the axis), and the number of the update. */
      readonly walks: readonly (readonly number[])[]
      /** Statements that declare `place` and `update`; `HEAD`, `INDEX` and `EXTENT` stand for their values. */
      readonly prepare: readonly string[]
      readonly axisStride?: number
    },
  ): WebGpuDispatch {
    const { domain, walks, prepare, axisStride } = loops
    const wishes = [this.#base, this.#output, this.#updates, this.#indices].map((operand) => ({
      operand,
      writes: operand === this.#output,
      quads: false,
    }))
    const used = axisStride === undefined ? wishes.slice(0, 3) : wishes
    const shader = new Shader(this.#environment, this.#memory, used)
    const heads = shader.scratch(first, 'u32')
    const number = numbersOf(shader)
    const access = (i: number) => shader.access(used[i]!)
    const size = sizeOf(domain)
    const { index, workgroups } = this.#groups(size, shader)
    const axes = domain.map((extent, axis) => ({ extent, strides: walks.map((strides) => strides[axis]!) }))
    const names = ['baseAt', 'outputAt', 'updatesAt', 'indexAt', 'rank'].slice(0, walks.length)
    const move = axisStride === undefined ? '' : ` + i32(place) * ${number(axisStride)}`
    const { dtype } = this.#output
    const updateAxes = this.#indices.view.shape.map((extent, i) => ({
      extent,
      strides: [this.#updates.view.strides[this.#axis + i]!],
    }))
    const updateAt = [
      `let order = i32(update)${this.#adds ? '' : ' - 1'};`,
      ...positionsOf('order', updateAxes, ['orderAt'], number),
    ]
    const value = access(2).load('(updatesAt + orderAt)')
    const combine = this.#adds
      ? [
          `var value = ${access(0).load(`(baseAt${move})`)};`,
          'loop {',
          `  if (update == ${none}) { break; }`,
          ...updateAt.map((line) => `  ${line}`),
          `  let more = ${value};`,
          `  value = ${computation({ op: 'add', from: dtype, dtype, width: scalar }, ['value', 'more'])};`,
          `  update = ${this.#count === 0 ? none : shader.scratch(next, 'u32').load('update')};`,
          '}',
        ]
      : [
          `var value = ${access(0).load(`(baseAt${move})`)};`,
          'if (update != 0u) {',
          ...updateAt.map((line) => `  ${line}`),
          `  value = ${value};`,
          '}',
        ]
    const body = [
      `let invocation = ${index} * ${workgroupSize} + i32(local);`,
      `if (invocation >= ${number(size)}) { return; }`,
      ...positionsOf('invocation', axes, names, number),
      ...prepare.map((line) =>
        line
          .replace('EXTENT', number(this.#extent))
          .replace('HEAD', heads.load('place'))
          .replace('INDEX', axisStride === undefined ? '' : access(3).load('indexAt')),
      ),
      ...combine,
      ...access(1).store(`(outputAt${move})`, 'value'),
    ]
    return shader.dispatch({ name: 'scatter', body, workgroupSize, workgroups })
  }

  #groups(invocations: number, shader: Shader) {
    return foldWorkgroups(Math.ceil(invocations / workgroupSize), this.#environment.limits, numbersOf(shader))
  }
}

const numbersOf =
  (shader: Shader) =>
  (value: number): string =>
    shader.number(value)

/** True when the output takes the place of the base. */
function sameElements(base: Operand, output: Operand): boolean {
  return (
    base.buffer === output.buffer &&
    base.view.offset === output.view.offset &&
    base.view.strides.every((stride, axis) => stride === output.view.strides[axis])
  )
}
