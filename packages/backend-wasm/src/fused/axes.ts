/** How a loop nest reads or writes one tensor: element strides of the domain's axes. */
export interface AccessPattern {
  readonly strides: readonly number[]
  readonly isStore: boolean
}

/** One loop: how often it runs and, for each access, how many elements one round moves it. */
export interface NestAxis {
  extent: number
  readonly strides: number[]
}

/**
 * The axes of a group whose order does not matter, as few and as regular as can be: axes of extent 1 are gone, axes along which
 * most accesses run backwards are turned round, the outermost axis is the one with the longest strides in what is stored, and
 * axes that run on into each other in every access are one.
 *
 * @param starts for each access, the elements by which its first element moves when an axis is turned round; added to
 */
export function normalizeAxes(
  domain: readonly number[],
  axes: readonly number[],
  accesses: readonly AccessPattern[],
  starts: number[],
): NestAxis[] {
  const nest: NestAxis[] = []
  for (const axis of axes) {
    const extent = domain[axis]!
    if (extent === 1) continue
    const strides = accesses.map((access) => access.strides[axis]!)
    turnForwards(extent, strides, accesses, starts)
    nest.push({ extent, strides })
  }
  const keys = new Map(nest.map((axis) => [axis, reach(axis, accesses)]))
  nest.sort((a, b) => {
    const [storesA, loadsA] = keys.get(a)!
    const [storesB, loadsB] = keys.get(b)!
    return storesB - storesA || loadsB - loadsA
  })
  return mergeAxes(nest)
}

function turnForwards(extent: number, strides: number[], accesses: readonly AccessPattern[], starts: number[]): void {
  let direction = 0
  accesses.forEach((access, i) => {
    direction += Math.sign(strides[i]!) * (access.isStore ? 2 : 1)
  })
  if (direction >= 0) return
  strides.forEach((stride, i) => {
    starts[i]! += (extent - 1) * stride
    strides[i] = stride === 0 ? 0 : -stride
  })
}

function reach(axis: NestAxis, accesses: readonly AccessPattern[]): readonly [stores: number, loads: number] {
  let stores = 0
  let loads = 0
  accesses.forEach((access, i) => {
    const stride = Math.abs(axis.strides[i]!)
    if (access.isStore) stores = Math.max(stores, stride)
    else loads += stride
  })
  return [stores, loads]
}

/** Joins neighbouring axes where every access steps from the end of the inner one to the next round of the outer one. */
export function mergeAxes(nest: readonly NestAxis[]): NestAxis[] {
  const merged: NestAxis[] = []
  for (const axis of nest) {
    const outer = merged.at(-1)
    if (outer?.strides.every((stride, i) => stride === axis.strides[i]! * axis.extent)) {
      merged[merged.length - 1] = { extent: outer.extent * axis.extent, strides: axis.strides }
    } else merged.push(axis)
  }
  return merged
}

/**
 * Takes out the axis along which vectors should run: the one that costs least for each element, when contiguous accesses take a
 * fraction of an instruction, others one for each lane, and every run of the loop some cycles.
 */
export function takeInnerAxis(nest: readonly NestAxis[]): { inner: NestAxis | undefined; outer: NestAxis[] } {
  let best = -1
  let bestCost = Number.POSITIVE_INFINITY
  for (let i = nest.length - 1; i >= 0; i--) {
    const cost = costOf(nest[i]!)
    if (cost < bestCost) {
      best = i
      bestCost = cost
    }
  }
  if (best < 0) return { inner: undefined, outer: [] }
  // Without the inner axis, others may run on into each other, and the last one into the inner.
  const outer = nest.filter((_, i) => i !== best)
  const merged = mergeAxes([...mergeAxes(outer), nest[best]!])
  return { inner: merged.at(-1)!, outer: merged.slice(0, -1) }
}

function costOf({ extent, strides }: NestAxis): number {
  const elements = Math.max(extent, 1)
  const lanes = (Math.ceil(elements / 4) * 4) / elements
  let cost = 20 / elements
  for (const stride of strides) cost += lanes * (stride === 1 ? 0.3 : stride === 0 ? 0.05 : 1.2)
  return cost
}
