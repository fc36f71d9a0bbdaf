import type { DType, FusedBody, Operand, TypedArray } from '@tessera/core'
import {
  type BodyBuilder,
  compareWithReference,
  createRandom,
  ProgramBuilder,
  type Random,
  randomStorage,
  toStorage,
  withView,
} from '@tessera/core/testing'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { WasmDevice } from '../device/device.ts'
import { Machine } from '../device/machine.ts'
import { wasmKernels } from '../kernels/index.ts'
import { optimised } from '../testing/backends.ts'
import { enableRevectorizer, type Variant } from '../variant.ts'

/** A value of a random body. Floats are integers of at most this size, so that whatever order they are added in is exact. */
interface Known {
  readonly id: number
  readonly dtype: DType
  readonly bound: number
  readonly perRow: boolean
}
const exactBound = 2 ** 23
const formats = ['f32', 'i32', 'u32', 'i16', 'i8', 'u8', 'bool'] as const

interface Case {
  readonly kind: FusedBody['kind']
  readonly extents: readonly number[]
  readonly reducedAxes: number
  readonly instructions: number
  readonly seed: number
}

const cases = fc.record({
  kind: fc.constantFrom('map', 'row', 'column'),
  extents: fc.array(fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 40 })), {
    minLength: 2,
    maxLength: 4,
  }),
  reducedAxes: fc.integer({ min: 1, max: 2 }),
  instructions: fc.integer({ min: 0, max: 14 }),
  seed: fc.nat(),
}) satisfies fc.Arbitrary<Case>

/** Axes of the domain that are reduced: `[start, end)`. */
function reducedRange({ kind, extents, reducedAxes }: Case): readonly [number, number] {
  const rank = extents.length
  const count = Math.min(reducedAxes, rank - 1)
  if (kind === 'row') return [rank - count, rank]
  return kind === 'column' ? [rank - 1 - count, rank - 1] : [0, 0]
}

/** An operand over the domain that lies in its buffer in some random way: permuted, spaced, reversed, with an offset, repeated. */
function layOut(
  random: Random,
  base: (elements: number) => Operand,
  domain: readonly number[],
  still: readonly boolean[],
  mayRepeat: boolean,
): Operand {
  const strides = domain.map(() => 0)
  const order = domain.map((_, axis) => axis)
  if (random.unit() < 0.4) order.sort(() => random.unit() - 0.5)
  let stride = random.unit() < 0.2 ? 2 : 1
  let offset = random.integer(0, 3)
  for (const axis of order.reverse()) {
    if (still[axis] || domain[axis] === 1 || (mayRepeat && random.unit() < 0.25)) continue
    const isReversed = random.unit() < 0.15
    strides[axis] = isReversed ? -stride : stride
    if (isReversed) offset += (domain[axis]! - 1) * stride
    stride *= domain[axis]!
    if (random.unit() < 0.15) stride += random.integer(1, 3)
  }
  const reach = strides.reduce((sum, step, axis) => sum + Math.max(0, step) * (domain[axis]! - 1), offset)
  return withView(base(reach + 1), () => ({ shape: domain, strides, offset }))
}

/** A random body with a program around it, and the contents of its inputs. */
function randomProgram(given: Case): { program: ProgramBuilder; inputs: TypedArray[] } {
  const random = createRandom(given.seed)
  const { kind, extents: domain } = given
  const [start, end] = reducedRange(given)
  const isReduced = (axis: number): boolean => axis >= start && axis < end
  const program = new ProgramBuilder()
  const inputs: TypedArray[] = []
  const nowhere = domain.map(() => false)
  const reduced = domain.map((_, axis) => isReduced(axis))

  const input = (dtype: DType): Operand =>
    layOut(
      random,
      (elements) => {
        const small = Array.from({ length: elements }, () =>
          random.integer(dtype === 'u8' || dtype === 'u32' ? 0 : -6, 6),
        )
        inputs.push(
          dtype === 'f32' || dtype === 'bool'
            ? toStorage(
                dtype,
                small.map((x) => (dtype === 'bool' ? x & 1 : x)),
              )
            : randomStorage(random, dtype, elements),
        )
        return program.input(dtype, [elements])
      },
      domain,
      nowhere,
      true,
    )
  const write = (body: BodyBuilder): void => {
    const values: Known[] = []
    const add = (id: number, dtype: DType, bound: number, perRow: boolean) => values.push({ id, dtype, bound, perRow })
    const pick = (test: (value: Known) => boolean): Known | undefined => {
      const found = values.filter(test)
      return found.length > 0 ? random.pick(found) : undefined
    }
    for (const dtype of ['f32', random.pick(formats), random.pick(formats)] as const) {
      const operand = input(dtype)
      const perRow = operand.view.strides.every((stride, axis) => stride === 0 || !isReduced(axis))
      add(body.load(operand), dtype, dtype === 'f32' ? 6 : Number.POSITIVE_INFINITY, perRow)
    }
    if (random.unit() < 0.3) {
      const strides = domain.map(() => random.integer(-2, 3))
      const dtype = random.pick(['f32', 'i32', 'u32'] as const)
      add(
        body.iota(strides, random.integer(-9, 9), dtype),
        dtype,
        1000,
        strides.every((stride, axis) => stride === 0 || !isReduced(axis)),
      )
    }
    if (random.unit() < 0.5) add(body.constant(random.integer(-5, 5)), 'f32', 5, true)
    for (let i = 0; i < given.instructions; i++) randomInstruction(random, body, pick, add, kind, domain, isReduced)
    const results = values.splice(0)
    const stores = kind === 'column' ? results : results.filter(() => random.unit() < 0.4)
    for (const value of stores.length > 0 ? stores.slice(-3) : results.slice(-1)) store(body, value)
  }
  const store = (body: BodyBuilder, { id, dtype, perRow }: Known): void => {
    if (kind !== 'column') {
      const still = perRow && kind === 'row' ? reduced : nowhere
      body.store(
        layOut(random, (elements) => program.output(dtype, [elements]), domain, still, false),
        id,
      )
      return
    }
    if (dtype === 'bool') return
    const bounded = body.compute(
      'maximum',
      body.compute('minimum', body.cast(id, 'f32'), body.constant(9)),
      body.constant(-9),
    )
    const op = random.pick(['reduceSum', 'reduceMaximum', 'reduceMinimum'] as const)
    body.store(
      layOut(random, (elements) => program.output('f32', [elements]), domain, reduced, false),
      body.reduce(op, bounded),
    )
    if (random.unit() < 0.3)
      body.store(
        layOut(random, (elements) => program.output(dtype, [elements]), domain, nowhere, false),
        id,
      )
  }
  if (kind === 'map') program.map(domain, write)
  else if (kind === 'row') program.row(domain, end - start, write)
  else program.column(domain, start, end, write)
  return { program, inputs }
}

function randomInstruction(
  random: Random,
  body: BodyBuilder,
  pick: (test: (value: Known) => boolean) => Known | undefined,
  add: (id: number, dtype: DType, bound: number, perRow: boolean) => void,
  kind: FusedBody['kind'],
  domain: readonly number[],
  isReduced: (axis: number) => boolean,
): void {
  const a = pick(() => true)!
  const b = pick(({ dtype }) => dtype === a.dtype)!
  const perRow = a.perRow && b.perRow
  const isFloat = a.dtype === 'f32'
  const choice = random.unit()
  if (kind === 'row' && choice < 0.25 && a.dtype !== 'bool') {
    const rowLength = domain.reduce((count, extent, axis) => (isReduced(axis) ? count * extent : count), 1)
    const op = random.pick(['reduceSum', 'reduceMaximum', 'reduceMinimum', 'reduceProduct'] as const)
    const bound = op === 'reduceSum' ? a.bound * rowLength : a.bound
    if (isFloat && (bound > exactBound || op === 'reduceProduct')) return
    add(body.reduce(op, a.id), a.dtype, bound, true)
  } else if (choice < 0.35) {
    const dtype = random.pick(formats)
    if (dtype === 'f32' && a.bound > exactBound) {
      if (a.dtype !== 'i8' && a.dtype !== 'u8' && a.dtype !== 'bool') return
      add(body.cast(a.id, dtype), dtype, 255, a.perRow)
    } else add(body.cast(a.id, dtype), dtype, dtype === 'f32' ? a.bound : Number.POSITIVE_INFINITY, a.perRow)
  } else if (choice < 0.45) {
    add(body.compute(random.pick(['equal', 'notEqual'] as const), a.id, b.id), 'bool', 1, perRow)
  } else if (choice < 0.55 && a.dtype !== 'bool') {
    add(body.compute(random.pick(['less', 'lessEqual'] as const), a.id, b.id), 'bool', 1, perRow)
  } else if (choice < 0.65) {
    const condition = pick(({ dtype }) => dtype === 'bool')
    if (!condition) return
    add(
      body.compute('where', condition.id, a.id, b.id),
      a.dtype,
      Math.max(a.bound, b.bound),
      perRow && condition.perRow,
    )
  } else if (a.dtype === 'bool') {
    add(body.compute(random.pick(['and', 'or', 'xor'] as const), a.id, b.id), 'bool', 1, perRow)
  } else if (isFloat) {
    const op = random.pick(['add', 'subtract', 'multiply', 'maximum', 'minimum'] as const)
    const bound =
      op === 'multiply'
        ? a.bound * b.bound
        : op === 'add' || op === 'subtract'
          ? a.bound + b.bound
          : Math.max(a.bound, b.bound)
    if (bound <= exactBound) add(body.compute(op, a.id, b.id), 'f32', bound, perRow)
  } else {
    const op = random.pick([
      'add',
      'subtract',
      'multiply',
      'divide',
      'remainder',
      'maximum',
      'and',
      'xor',
      'shiftLeft',
      'shiftRight',
    ] as const)
    add(body.compute(op, a.id, b.id), a.dtype, Number.POSITIVE_INFINITY, perRow)
  }
}

const variants: readonly Variant[] = ['plain', 'relaxed', 'wide']
describe('random bodies', () => {
  for (const variant of variants) {
    it(`${variant}: give exactly what the reference gives`, async () => {
      const plain = {
        name: 'wasm' as const,
        open: async () => new WasmDevice(new Machine(variant, { shared: false, threads: 1 })),
      }
      if (variant === 'wide') await enableRevectorizer()
      const device = (await (variant === 'wide' ? optimised(plain) : plain).open()) as WasmDevice
      await fc.assert(
        fc.asyncProperty(cases, async (given) => {
          const { program, inputs } = randomProgram(given)
          await compareWithReference(
            device,
            wasmKernels,
            program.build(),
            inputs,
            () => ({ relative: 0, absolute: 0 }),
            given.kind,
          )
        }),
        { numRuns: 100 },
      )
    }, 60_000)
  }
})
