import { type LoweredBody, variesInner, variesMiddle } from './body.ts'
import { needed } from './evaluator.ts'
import { valueWeight } from './weights.ts'

/** From this weight on, a value is kept in memory for a later pass instead of being computed again. */
const keepWeight = 8

/** One reading of a row. */
export interface RowPass {
  /** Reductions that are complete after this pass. */
  readonly reductions: readonly number[]
  /** Positions in the body's `stores` that are written, element by element, in this pass. */
  readonly stores: readonly number[]
  /** Values that the pass computes for each element, and the per-row values that it uses. */
  readonly values: readonly number[]
  /** Values that an earlier pass left in scratch memory. */
  readonly restored: ReadonlySet<number>
  /** Values that an earlier pass stored, and the access to load them from. */
  readonly reloaded: ReadonlyMap<number, number>
}

/** How often a row is read, and what each reading does. */
export interface RowPlan {
  readonly passes: readonly RowPass[]
  /** For each value the number of passes that must be over before it can be computed. */
  readonly level: readonly number[]
  /** Positions in the body's `stores` that are written once for each row. */
  readonly rowStores: readonly number[]
  /** Rows of scratch memory for values that are kept, by value. */
  readonly slots: ReadonlyMap<number, number>
}

/** True for values that may differ within a row. */
export const isPerElement = (body: LoweredBody, id: number): boolean =>
  (body.variation[id]! & (variesInner | variesMiddle)) !== 0

/**
 * Divides the work on a row into passes: a reduction can only be used when the whole row has been read, so what depends on it waits
 * for the next pass. Stores are made as early as possible, unless they overwrite what a later pass still reads.
 *
 * @param mayKeep whether values may be kept in scratch memory between passes
 */
export function planPasses(body: LoweredBody, mayKeep: boolean): RowPlan {
  const level = levelsOf(body)
  const last = body.values.reduce((most, value, id) => (value.kind === 'reduce' ? Math.max(most, level[id]!) : most), 0)
  const isRowStore = (store: number): boolean => {
    const { access, value } = body.stores[store]!
    const varies = body.accesses[access]!.variation & (variesInner | variesMiddle)
    if (!varies && isPerElement(body, value))
      throw new Error('fused: a value that varies within a row is stored once for each row')
    return !varies
  }
  const storePass = ({ access, value }: LoweredBody['stores'][number]): number =>
    body.accesses[access]!.aliased ? last : level[value]!
  const allStores = body.stores.map((_, store) => store)
  const elementStores = allStores.filter((store) => !isRowStore(store))
  const slots = new Map<number, number>()
  const stored = new Map<number, number>()
  const evaluated = new Set<number>()
  const weights = body.values.map(() => -1)
  const passes: RowPass[] = []
  for (let pass = 0; pass <= last; pass++) {
    const reductions = body.values.flatMap((value, id) =>
      value.kind === 'reduce' && level[value.argument] === pass ? [id] : [],
    )
    const stores = elementStores.filter((store) => storePass(body.stores[store]!) === pass)
    const roots = [
      ...reductions.map((id) => (body.values[id] as { argument: number }).argument),
      ...stores.map((store) => body.stores[store]!.value),
    ]
    const restored = new Set<number>()
    const reloaded = new Map<number, number>()
    const values = needed(body, roots, (id) => {
      if (!(body.variation[id]! & variesInner) || body.values[id]!.kind === 'load') return false
      const access = stored.get(id)
      if (access !== undefined) reloaded.set(id, access)
      else if (mayKeep && evaluated.has(id) && weightOf(body, id, weights) >= keepWeight) restored.add(id)
      else return false
      return true
    })
    for (const id of restored) if (!slots.has(id)) slots.set(id, slots.size)
    for (const id of values) if (isPerElement(body, id)) evaluated.add(id)
    for (const store of stores) {
      const { access, value } = body.stores[store]!
      if (!body.accesses[access]!.aliased && isPerElement(body, value)) stored.set(value, access)
    }
    passes.push({ reductions, stores, values, restored, reloaded })
  }
  return { passes, level, rowStores: allStores.filter(isRowStore), slots }
}

function levelsOf(body: LoweredBody): number[] {
  const level: number[] = []
  for (const value of body.values) {
    if (value.kind === 'compute')
      level.push(value.arguments.reduce((most, argument) => Math.max(most, level[argument]!), 0))
    else if (value.kind === 'reduce') level.push(level[value.argument]! + 1)
    else level.push(0)
  }
  return level
}

/** What computing a value again would cost: its own weight and that of all it is computed from, within the row. */
function weightOf(body: LoweredBody, id: number, known: number[]): number {
  if (known[id]! >= 0) return known[id]!
  const value = body.values[id]!
  let weight = isPerElement(body, id) ? valueWeight(body, value) : 0
  if (value.kind === 'compute' && weight > 0) {
    for (const argument of value.arguments) weight += weightOf(body, argument, known)
  }
  known[id] = Math.min(weight, 1000)
  return known[id]!
}
