import type { Blocks } from '../../fused/plan-block.ts'
import { type MatmulTuning, tileColumns } from '../matmul/tuning.ts'
import { blockOf, fittingColumns, joinPlans, planProduct } from './plan.ts'
import { backwardInputProducts, type Convolution, forwardProducts, type Product, writesWholeInput } from './problems.ts'

/** Floats of filters that may be read again for every unit: they stay in the second-level cache. */
const mostRepeatedFilters = 256 * 1024
/** Floats of the place of a unit's result. */
const mostStagedFloats = 512 * 1024
const leastColumns = 128
const leastRows = 96

/**
 * The single product of a convolution or of its gradient to the input, if an epilogue can follow it unit by unit; `undefined` for gradients of
 * strided convolutions, which are several products.
 */
export function unitProduct(
  op: 'convolution' | 'convolutionBackwardInput',
  convolution: Convolution,
): Product | undefined {
  if (op === 'convolution') return forwardProducts(convolution)[0]
  const products = backwardInputProducts(convolution)
  return products.length === 1 && writesWholeInput(convolution) ? products[0] : undefined
}

/**
 * Divides the result of a product: an image's positions into a dozen or two parts where filters are small, so that threads come out even, else
 * into as few as can be packed at a time, and then rows, so that there are at least four units.
 */
export function unitBlocks(
  product: Product,
  convolution: Convolution,
  tile: { readonly rows: number; readonly width: number },
): Blocks & { readonly count: number } {
  const { problem, taps } = product
  const positions = problem.gridZ * problem.gridY * problem.gridX
  const matrices = convolution.batch * problem.groups
  const isSmall = problem.rows * problem.channels * taps.length <= mostRepeatedFilters
  const fitting = Math.min(fittingColumns(product, tile.width), Math.floor(mostStagedFloats / problem.rows))
  const most = isSmall ? Math.min(fitting, Math.max(leastColumns, Math.ceil((positions * matrices) / 16))) : fitting
  const columns = roundUp(blockOf(positions, Math.max(tile.width, roundDown(most, tile.width))), tile.width)
  const columnUnits = Math.ceil(positions / columns)
  const parts = Math.ceil(4 / (matrices * columnUnits))
  const rows = roundUp(Math.max(Math.min(leastRows, problem.rows), Math.ceil(problem.rows / parts)), tile.rows)
  const rowUnits = Math.ceil(problem.rows / rows)
  return {
    rows,
    columns,
    rowUnits,
    columnUnits,
    m: problem.rows,
    n: positions,
    count: matrices * rowUnits * columnUnits,
  }
}

/** Plans a product in units; their results go to `threadScratch` of the caller, behind what the plan's `threadScratchBytes` says. */
export function planUnits(product: Product, convolution: Convolution, tuning: MatmulTuning) {
  const blocks = unitBlocks(product, convolution, { rows: tuning.rows, width: tileColumns(tuning) })
  return {
    ...joinPlans([planProduct(product, tuning, blocks)]),
    blocks,
    batch: [convolution.batch, product.problem.groups],
  }
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
const roundDown = (value: number, multiple: number): number => Math.floor(value / multiple) * multiple
