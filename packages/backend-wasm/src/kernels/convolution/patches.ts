import type { FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { i32, i32x4, select, v128 } from '../../assembler/index.ts'
import { tapAddress, tapWord, word } from './descriptor.ts'

/**
 * The table of a panel of columns: for each column, one after the other for each member, where its image begins in the source (bytes), its
 * position in the source (z, y, x in elements, before the displacement of a tap), and where it goes in the target (bytes).
 */
export const panelTable = { image: 0, z: 1, y: 2, x: 3, target: 4 } as const
const members = 5

/** Bytes of the tables of `columns` columns. */
export const tableBytes = (columns: number): number => 4 * members * columns

const tablesParameters = {
  descriptor: 'i32',
  tables: 'i32',
  /** The first column, and how many there are; panels are filled up with columns outside of the source. */
  first: 'i32',
  count: 'i32',
} as const

export type TablesFunction = FunctionHandle<typeof tablesParameters, 'void'>

/** Outside of every source, whatever is added. */
const nowhere = -(2 ** 30)

/** Emits the function that writes the tables of neighbouring columns, panel by panel of `width` columns. */
export function emitTables(module: ModuleBuilder, width: number): TablesFunction {
  return module.function('convolutionTables', tablesParameters, 'void', (fn, { descriptor, tables, first, count }) => {
    const load = (name: Parameters<typeof word>[1]) => fn.local('i32', name, word(descriptor, name))
    const [gridZ, gridY, gridX] = [load('gridZ'), load('gridY'), load('gridX')]
    const [stepZ, stepY, stepX] = [load('stepZ'), load('stepY'), load('stepX')]
    const rest = fn.local('i32', 'rest', first)
    const coordinate = (extent: Local<'i32'>, name: string) => {
      const result = fn.local('i32', name, i32.remU(rest, extent))
      fn.set(rest, i32.divU(rest, extent))
      return result
    }
    const [x, y, z] = [coordinate(gridX, 'x'), coordinate(gridY, 'y'), coordinate(gridZ, 'z')]
    const image = fn.local('i32', 'image', rest)
    const panels = i32.divU(i32.add(count, width - 1), width)
    const [sourceImage, targetImage] = [load('sourceImage'), load('targetImage')]
    const [targetZ, targetY, targetX] = [load('targetZ'), load('targetY'), load('targetX')]
    fn.repeat(panels, () => {
      fn.repeat(width, () => {
        const store = (member: keyof typeof panelTable, value: Parameters<typeof i32.add>[0]) =>
          fn.store('i32', tables, value, 4 * width * panelTable[member])
        fn.if(
          i32.gtS(count, 0),
          () => {
            store('image', i32.mul(image, sourceImage))
            store('z', i32.mul(z, stepZ))
            store('y', i32.mul(y, stepY))
            store('x', i32.mul(x, stepX))
            const inImage = i32.add(i32.add(i32.mul(z, targetZ), i32.mul(y, targetY)), i32.mul(x, targetX))
            store('target', i32.add(i32.mul(image, targetImage), inImage))
          },
          () => store('z', nowhere),
        )
        fn.increment(tables, 4)
        fn.increment(count, -1)
        fn.increment(x, 1)
        fn.if(i32.eq(x, gridX), () => {
          fn.set(x, 0)
          fn.increment(y, 1)
          fn.if(i32.eq(y, gridY), () => {
            fn.set(y, 0)
            fn.increment(z, 1)
            fn.if(i32.eq(z, gridZ), () => {
              fn.set(z, 0)
              fn.increment(image, 1)
            })
          })
        })
      })
      fn.increment(tables, 4 * width * (members - 1))
    })
  })
}

const runParameters = {
  source: 'i32',
  sourceStep: 'i32',
  count: 'i32',
  destination: 'i32',
  destinationStep: 'i32',
} as const
const lanesParameters = { ...runParameters, offsets: 'v128', mask: 'v128' } as const

/** Emits a function that copies `vectors` neighbouring vectors from each of `count` channels. */
function emitRun(module: ModuleBuilder, vectors: number): FunctionHandle<typeof runParameters, 'void'> {
  return module.function(`convolutionRun${vectors}`, runParameters, 'void', (fn, parameters) => {
    const { source, sourceStep, count, destination, destinationStep } = parameters
    fn.repeat(count, () => {
      const parts = Array.from({ length: vectors }, (_, i) => fn.local('v128', 'part', v128.load(source, 16 * i)))
      parts.forEach((part, i) => {
        fn.store('v128', destination, part, 16 * i)
      })
      fn.increment(source, sourceStep)
      fn.increment(destination, destinationStep)
    })
  })
}

/** Emits a function that gathers four floats from each of `count` channels, zeros where the mask says so. */
function emitLanes(module: ModuleBuilder): FunctionHandle<typeof lanesParameters, 'void'> {
  return module.function('convolutionLanes', lanesParameters, 'void', (fn, parameters) => {
    const { source, sourceStep, count, destination, destinationStep, offsets, mask } = parameters
    const pointers = [0, 1, 2, 3].map((lane) =>
      fn.local('i32', 'pointer', i32.add(source, i32x4.extractLane(offsets, lane))),
    )
    fn.repeat(count, () => {
      const vector = fn.local('v128', 'vector', v128.load32Zero(pointers[0]!))
      for (const lane of [1, 2, 3]) fn.set(vector, v128.load32Lane(pointers[lane]!, vector, lane))
      fn.store('v128', destination, v128.and(vector, mask))
      for (const pointer of pointers) fn.increment(pointer, sourceStep)
      fn.increment(destination, destinationStep)
    })
  })
}

const patchesParameters = {
  descriptor: 'i32',
  /** The first of the channels. */
  source: 'i32',
  channels: 'i32',
  /** Of the panel. */
  table: 'i32',
  /** Where the panel's columns of the first channel and tap go; the next tap, and after the last one the next channel, follow each `rowStep` bytes. */
  destination: 'i32',
  rowStep: 'i32',
} as const

export type PatchesFunction = FunctionHandle<typeof patchesParameters, 'void'>

/**
 * Emits the function that copies the patches of a panel of columns, `[channel, tap] × [column]`, with zeros for what lies outside of the
 * source. Where four columns read neighbours, which they mostly do, they are copied as a vector.
 */
export function emitPatches(module: ModuleBuilder, vectors: number): PatchesFunction {
  const wholeRun = emitRun(module, vectors)
  const run = emitRun(module, 1)
  const lanes = emitLanes(module)
  return module.function('convolutionPatches', patchesParameters, 'void', (fn, parameters) => {
    const { descriptor, source, channels, table, destination, rowStep } = parameters
    const taps = fn.local('i32', 'taps', word(descriptor, 'taps'))
    const splat = (name: Parameters<typeof word>[1]) => fn.local('v128', name, i32x4.splat(word(descriptor, name)))
    const extents = { z: splat('extentZ'), y: splat('extentY'), x: splat('extentX') }
    const [plane, row] = [splat('sourcePlane'), splat('sourceRow')]
    const sourceStep = fn.local('i32', 'sourceStep', word(descriptor, 'sourceChannel'))
    const destinationStep = fn.local('i32', 'destinationStep', i32.mul(taps, rowStep))
    const neighbours = fn.local('v128', 'neighbours', v128.const(Int32Array.of(0, 4, 8, 12)))
    const offsets = fn.locals('v128', vectors, 'offset')
    const masks = fn.locals('v128', vectors, 'mask')
    const areRuns = fn.locals('i32', vectors, 'isRun')
    fn.forRange(0, taps, 1, (tap) => {
      const entry = fn.local('i32', 'entry', tapAddress(descriptor, tap))
      const shifts = (['z', 'y', 'x'] as const).map((axis) => fn.local('v128', axis, i32x4.splat(tapWord(entry, axis))))
      for (let i = 0; i < vectors; i++) {
        const member = (name: keyof typeof panelTable) =>
          v128.load(table, 4 * (4 * vectors) * panelTable[name] + 16 * i)
        const at = (['z', 'y', 'x'] as const).map((axis, j) =>
          fn.local('v128', axis, i32x4.add(member(axis), shifts[j]!)),
        )
        const inside = (['z', 'y', 'x'] as const).map((axis, j) => i32x4.ltU(at[j]!, extents[axis]))
        fn.set(masks[i]!, v128.and(v128.and(inside[0]!, inside[1]!), inside[2]!))
        const offset = i32x4.add(
          i32x4.add(member('image'), i32x4.mul(at[0]!, plane)),
          i32x4.add(i32x4.mul(at[1]!, row), i32x4.shl(at[2]!, 2)),
        )
        fn.set(offsets[i]!, v128.and(offset, masks[i]!))
        const first = i32x4.splat(i32x4.extractLane(offsets[i]!, 0))
        const isRun = v128.and(masks[i]!, i32x4.eq(i32x4.sub(offsets[i]!, first), neighbours))
        fn.set(areRuns[i]!, i32x4.allTrue(isRun))
      }
      const firstOffset = fn.local('i32', 'firstOffset', i32x4.extractLane(offsets[0]!, 0))
      const isWhole = fn.local('i32', 'isWhole', areRuns[0]!)
      for (let i = 1; i < vectors; i++) {
        const follows = i32.eq(i32.sub(i32x4.extractLane(offsets[i]!, 0), firstOffset), 16 * i)
        fn.set(isWhole, i32.and(isWhole, i32.and(areRuns[i]!, follows)))
      }
      const shared = { sourceStep, count: channels, destinationStep }
      fn.if(
        isWhole,
        () => fn.call(wholeRun, { ...shared, source: i32.add(source, firstOffset), destination }),
        () => {
          for (let i = 0; i < vectors; i++) {
            const target = i32.add(destination, 16 * i)
            fn.if(
              areRuns[i]!,
              () => {
                const from = i32.add(source, i32x4.extractLane(offsets[i]!, 0))
                fn.call(run, { ...shared, source: from, destination: target })
              },
              () => {
                fn.call(lanes, { ...shared, source, destination: target, offsets: offsets[i]!, mask: masks[i]! })
              },
            )
          }
        },
      )
      fn.increment(destination, rowStep)
    })
  })
}

const filtersParameters = {
  descriptor: 'i32',
  /** The first filter of the block, at its first channel. */
  source: 'i32',
  count: 'i32',
  channels: 'i32',
  destination: 'i32',
} as const

export type FiltersFunction = FunctionHandle<typeof filtersParameters, 'void'>

/**
 * Emits the function that packs the taps of the table from `count` filters, in panels of `rows` filters as the matrix product's `packA` makes
 * them; the last panel holds the rest.
 */
export function emitFilters(module: ModuleBuilder, rows: number): FiltersFunction {
  const panels = Array.from({ length: rows }, (_, i) =>
    module.function(`convolutionFilters${i + 1}`, filtersParameters, 'void', (fn, parameters) => {
      const { descriptor, source, channels, destination } = parameters
      const taps = fn.local('i32', 'taps', word(descriptor, 'taps'))
      const rowStep = fn.local('i32', 'rowStep', word(descriptor, 'filterRow'))
      const channelStep = fn.local('i32', 'channelStep', word(descriptor, 'filterChannel'))
      fn.repeat(channels, () => {
        fn.forRange(0, taps, 1, (tap) => {
          const pointer = fn.local('i32', 'pointer', tapWord(tapAddress(descriptor, tap), 'filterOffset'))
          fn.increment(pointer, source)
          for (let row = 0; row <= i; row++) {
            fn.store('i32', destination, i32.load(pointer), 4 * row)
            if (row < i) fn.increment(pointer, rowStep)
          }
          fn.increment(destination, 4 * (i + 1))
        })
        fn.increment(source, channelStep)
      })
    }),
  )
  return module.function('convolutionFilters', filtersParameters, 'void', (fn, parameters) => {
    const { descriptor, source, count, channels, destination } = parameters
    const panelBytes = fn.local('i32', 'panelBytes', i32.mul(i32.mul(channels, word(descriptor, 'taps')), 4 * rows))
    const panelStep = fn.local('i32', 'panelStep', i32.mul(word(descriptor, 'filterRow'), rows))
    fn.while(i32.gtS(count, 0), () => {
      const part = fn.local('i32', 'part', select(i32.ltS(count, rows), count, i32.const(rows)))
      panels.forEach((panel, i) => {
        fn.if(i32.eq(part, i + 1), () => fn.call(panel, { descriptor, source, count: part, channels, destination }))
      })
      fn.increment(source, panelStep)
      fn.increment(destination, panelBytes)
      fn.increment(count, -rows)
    })
  })
}
