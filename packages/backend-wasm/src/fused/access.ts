import type { DType } from '@tessera/core'
import type { Local } from '../assembler/index.ts'
import { f32x4, i8x16, i16x8, i32, i32x4, v128 } from '../assembler/index.ts'
import { decodeHalf, encodeHalf, roundToHalf } from '../math/index.ts'
import type { Access } from './body.ts'
import type { FusedCode, Integer, Vector } from './code.ts'
import { isHalf } from './operations.ts'

/** Some neighbouring elements along the inner axis: `count` whole vectors, or one vector of which `lanes` elements exist. */
export interface Block {
  readonly count: number
  /** Index of the first element along the inner axis. */
  readonly index: Local<'i32'>
  /** For a block of one vector: how many of its lanes exist, 1 to 4. */
  readonly lanes?: Local<'i32'>
}

/**
 * The elements of a block as vectors of 32-bit lanes: floats, integers, or masks for `bool`.
 *
 * @param position of the access in the body
 * @param base address (for a counter: value) of element 0 of the inner axis
 */
export function loadBlock(code: FusedCode, position: number, base: Integer, block: Block): Vector[] {
  const access = code.body.accesses[position]!
  if (access.kind === 'iota') return countBlock(code, position, base, block)
  const vectors = code.fn.locals('v128', block.count, 'loaded')
  code.fn.scope(() => {
    const at = addressOf(code, position, base, block)
    if (access.bytes === 4) loadWords(code, position, at, block, vectors)
    else if (access.bytes === 2) loadShorts(code, position, at, block, vectors)
    else loadBytes(code, position, at, block, vectors)
  })
  if (!isEncoded(access.dtype)) return vectors
  return vectors.map((vector) => code.keep(fromStorage(code, access.dtype, vector)))
}

/** One element in all lanes, for an access that does not move along the inner axis. */
export function loadSplat(code: FusedCode, position: number, address: Integer): Vector {
  const access = code.body.accesses[position]!
  if (access.kind === 'iota') return fromCounter(code, access.dtype, i32x4.splat(address))
  if (access.bytes === 4) return v128.load32Splat(address)
  return fromStorage(code, access.dtype, i32x4.splat(loadNarrow(access.dtype, address)))
}

/** Byte offsets of the elements that a lookup finds at some indices, which are clamped into range. */
export function lookupOffsets(code: FusedCode, position: number, indices: Vector, isSigned: boolean): Vector {
  const last = code.wordSplat(`lookup${position}.last`)
  const clamped = isSigned ? i32x4.maxS(i32x4.minS(indices, last), code.integer(0)) : i32x4.minU(indices, last)
  return i32x4.mul(clamped, code.wordSplat(`lookup${position}.stride`))
}

/** Four elements at byte offsets from the base. */
export function loadScattered(code: FusedCode, position: number, base: Integer, offsets: Vector): Vector {
  const access = code.body.accesses[position]!
  const at = (lane: number): Integer => i32.add(base, i32x4.extractLane(offsets, lane))
  let elements = access.bytes === 4 ? v128.load32Zero(at(0)) : i32x4.splat(loadNarrow(access.dtype, at(0)))
  for (let lane = 1; lane < 4; lane++) {
    elements =
      access.bytes === 4
        ? v128.load32Lane(at(lane), elements, lane)
        : i32x4.replaceLane(elements, lane, loadNarrow(access.dtype, at(lane)))
  }
  return fromStorage(code, access.dtype, elements)
}

/** Writes the vectors of a block. */
export function storeBlock(
  code: FusedCode,
  position: number,
  base: Integer,
  block: Block,
  values: readonly Vector[],
  inHalves = false,
): void {
  const { fn } = code
  const access = code.body.accesses[position]!
  fn.scope(() => {
    const at = addressOf(code, position, base, block)
    if (block.lanes) storeExisting(code, position, at, block.lanes, values[0]!)
    else if (access.inner !== 'vector') {
      values.forEach((value, u) => {
        const kept = code.keep(value)
        for (let lane = 0; lane < 4; lane++) {
          storeLane(code, access, at, kept, lane)
          if (u < values.length - 1 || lane < 3) fn.set(at, i32.add(at, code.step(position)))
        }
      })
    } else if (access.bytes === 4) {
      values.forEach((value, u) => {
        if (inHalves) {
          const kept = code.keep(value)
          for (const half of [0, 1] as const) fn.storeLane(64, at, kept, half, 16 * u + 8 * half)
        } else fn.store('v128', at, value, 16 * u)
      })
    } else if (access.bytes === 2) storeShortVectors(code, access, at, values)
    else storeByteVectors(code, access, at, values)
  })
}

/** Writes lane 0 as one element. */
export function storeFirst(code: FusedCode, position: number, address: Integer, value: Vector): void {
  storeLane(code, code.body.accesses[position]!, address, value, 0)
}

function addressOf(code: FusedCode, position: number, base: Integer, { index }: Block): Local<'i32'> {
  const { inner, bytes } = code.body.accesses[position]!
  const contiguous = bytes === 1 ? index : i32.shl(index, bytes === 4 ? 2 : 1)
  const moved = inner === 'vector' ? contiguous : i32.mul(index, code.step(position))
  return code.fn.local('i32', 'at', i32.add(base, moved))
}

/** Bytes from one element to the next along the inner axis. */
function elementStep(code: FusedCode, position: number): Integer | number {
  const { inner, bytes } = code.body.accesses[position]!
  return inner === 'vector' ? bytes : code.step(position)
}

type Locals = readonly Local<'v128'>[]

function loadWords(code: FusedCode, position: number, at: Local<'i32'>, block: Block, vectors: Locals): void {
  const { fn } = code
  const contiguous = code.body.accesses[position]!.inner === 'vector'
  const { lanes } = block
  const first = vectors[0]!
  if (contiguous && !lanes) {
    vectors.forEach((vector, u) => {
      fn.set(vector, v128.load(at, 16 * u))
    })
  } else if (contiguous && lanes) {
    fn.if(
      i32.eq(lanes, 4),
      () => fn.set(first, v128.load(at)),
      () => gatherLanes(code, position, at, lanes, first),
    )
  } else {
    vectors.forEach((vector, u) => {
      if (u > 0) fn.set(at, i32.add(at, elementStep(code, position)))
      gatherLanes(code, position, at, lanes, vector)
    })
  }
}

function loadBytes(code: FusedCode, position: number, at: Local<'i32'>, block: Block, vectors: Locals): void {
  const { fn } = code
  const access = code.body.accesses[position]!
  if (access.inner === 'vector' && !block.lanes) {
    const signed = access.dtype === 'i8'
    for (let u = 0; u < vectors.length; u += 2) {
      const wide = code.keep(signed ? v128.load8x8S(at, 4 * u) : v128.load8x8U(at, 4 * u))
      fn.set(vectors[u]!, signed ? i32x4.extendLowI16x8S(wide) : i32x4.extendLowI16x8U(wide))
      fn.set(vectors[u + 1]!, signed ? i32x4.extendHighI16x8S(wide) : i32x4.extendHighI16x8U(wide))
    }
    return
  }
  vectors.forEach((vector, u) => {
    if (u > 0) fn.set(at, i32.add(at, elementStep(code, position)))
    gatherLanes(code, position, at, block.lanes, vector)
  })
}

function loadShorts(code: FusedCode, position: number, at: Local<'i32'>, block: Block, vectors: Locals): void {
  const { fn } = code
  const { inner, dtype } = code.body.accesses[position]!
  const isContiguous = inner === 'vector' && !block.lanes
  const load4 = dtype === 'i16' ? v128.load16x4S : v128.load16x4U
  vectors.forEach((vector, u) => {
    if (isContiguous) fn.set(vector, load4(at, 8 * u))
    else {
      if (u > 0) fn.set(at, i32.add(at, elementStep(code, position)))
      gatherLanes(code, position, at, block.lanes, vector)
    }
  })
}

/** Loads the lanes one by one, from `at` on in steps; those that do not exist stay 0. `at` is left at the last one. */
function gatherLanes(
  code: FusedCode,
  position: number,
  at: Local<'i32'>,
  lanes: Local<'i32'> | undefined,
  vector: Local<'v128'>,
): void {
  const { fn } = code
  const { bytes, dtype } = code.body.accesses[position]!
  if (bytes === 4) fn.set(vector, v128.load32Zero(at))
  else fn.set(vector, i32x4.replaceLane(code.integer(0), 0, loadNarrow(dtype, at)))
  const next = (lane: number): void => {
    if (lane === 4) return
    const take = () => {
      fn.set(at, i32.add(at, elementStep(code, position)))
      fn.set(
        vector,
        bytes === 4 ? v128.load32Lane(at, vector, lane) : i32x4.replaceLane(vector, lane, loadNarrow(dtype, at)),
      )
      next(lane + 1)
    }
    if (lanes) fn.if(i32.gtU(lanes, lane), take)
    else take()
  }
  next(1)
}

/** The bits of an element of fewer than 32. */
function loadNarrow(dtype: DType, address: Integer): Integer {
  if (isHalf(dtype)) return i32.load16U(address)
  if (dtype === 'i16') return i32.load16S(address)
  return dtype === 'i8' ? i32.load8S(address) : i32.load8U(address)
}

/** Writes the lanes of a vector that exist. */
function storeExisting(code: FusedCode, position: number, at: Local<'i32'>, lanes: Local<'i32'>, value: Vector): void {
  const { fn } = code
  const access = code.body.accesses[position]!
  const kept = code.keep(value)
  const partial = () => {
    const next = (lane: number): void => {
      storeLane(code, access, at, kept, lane)
      if (lane === 3) return
      fn.if(i32.gtU(lanes, lane + 1), () => {
        fn.set(at, i32.add(at, elementStep(code, position)))
        next(lane + 1)
      })
    }
    next(0)
  }
  if (access.inner !== 'vector' || access.bytes !== 4) partial()
  else fn.if(i32.eq(lanes, 4), () => fn.store('v128', at, kept), partial)
}

function storeLane(code: FusedCode, access: Access, address: Integer, value: Vector, lane: number): void {
  const { fn } = code
  if (access.bytes === 4) fn.storeLane(32, address, value, lane)
  else {
    const bits = i32x4.extractLane(toStorage(code, access.dtype, value), lane)
    if (access.bytes === 2) fn.store16(address, bits)
    else fn.store8(address, bits)
  }
}

function storeByteVectors(code: FusedCode, access: Access, at: Integer, values: readonly Vector[]): void {
  const narrow = access.dtype === 'i8' ? i8x16.narrowI16x8S : i8x16.narrowI16x8U
  for (let u = 0; u < values.length; u += 2) {
    const halves = code.keep(
      i16x8.narrowI32x4S(toStorage(code, access.dtype, values[u]!), toStorage(code, access.dtype, values[u + 1]!)),
    )
    code.fn.storeLane(64, at, narrow(halves, halves), 0, 4 * u)
  }
}

function storeShortVectors(code: FusedCode, access: Access, at: Integer, values: readonly Vector[]): void {
  const bits = values.map((value) => toStorage(code, access.dtype, value))
  const narrow = access.dtype === 'i16' ? i16x8.narrowI32x4S : i16x8.narrowI32x4U
  for (let u = 0; u < bits.length; u += 2) {
    const pair = code.keep(narrow(bits[u]!, bits[u + 1] ?? code.integer(0)))
    if (u + 1 < bits.length) code.fn.store('v128', at, pair, 8 * u)
    else code.fn.storeLane(64, at, pair, 0, 8 * u)
  }
}

/** Formats that stand in lanes otherwise than in memory. */
const isEncoded = (dtype: DType): boolean => dtype === 'bool' || isHalf(dtype)

/** Lanes as they are computed with: masks, and floats of 32 bits. */
function fromStorage(code: FusedCode, dtype: DType, bits: Vector): Vector {
  if (dtype === 'bool') return i32x4.ne(bits, code.integer(0))
  return isHalf(dtype) ? decodeHalf(code.math, dtype, bits) : bits
}

/** Lanes as their low bits go to memory: masks become 0 and 1, floats are rounded to 16 bits. */
function toStorage(code: FusedCode, dtype: DType, value: Vector): Vector {
  if (dtype === 'bool') return i32x4.shrU(value, 31)
  return isHalf(dtype) ? encodeHalf(code.math, dtype, value) : value
}

function countBlock(code: FusedCode, position: number, base: Integer, { count, index }: Block): Vector[] {
  const { dtype } = code.body.accesses[position]!
  const step = code.step(position)
  const lanes = code.counterLanes(position)
  return Array.from({ length: count }, (_, u) => {
    const first = i32.add(base, i32.mul(i32.add(index, 4 * u), step))
    return code.keep(fromCounter(code, dtype, i32x4.add(i32x4.splat(first), lanes)), 'counter')
  })
}

/** A 32-bit integer cast to a format. */
function fromCounter(code: FusedCode, dtype: DType, value: Vector): Vector {
  if (isHalf(dtype)) return roundToHalf(code.math, dtype, f32x4.convertI32x4S(value))
  switch (dtype) {
    case 'f32':
      return f32x4.convertI32x4S(value)
    case 'bool':
      return i32x4.ne(value, code.integer(0))
    case 'i16':
      return i32x4.shrS(i32x4.shl(value, 16), 16)
    case 'i8':
      return i32x4.shrS(i32x4.shl(value, 24), 24)
    case 'u8':
      return i32x4.shrU(i32x4.shl(value, 24), 24)
    default:
      return value
  }
}
