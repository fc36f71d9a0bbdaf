import { TesseraError } from '../../errors.ts'
import { formatShape, sameShape, sizeOf } from '../../graph/shape.ts'
import type { View } from '../../graph/view.ts'
import type { ReferenceKernelProgram } from '../../plugin/contract.ts'
import type { OpCall } from '../../schedule/program.ts'
import { axisGroup, fillPositions, isConstant, positionOf } from './addressing.ts'
import { type Pass, perRowInstructions, planPasses } from './fused-plan.ts'
import { type Addressed, buildMachine } from './fused-steps.ts'

/** Elements computed together: enough to make dispatch cheap, few enough for the registers to stay in the cache. */
const defaultBlockLength = 1024

/**
 * Interprets a fused body. Its domain is cut into outer axes, reduced axes (`column` only) and inner axes; inner axes are
 * taken in blocks, and each instruction computes a block into its own float64 register.
 *
 * @param blockLength tests make it small so that rows cross block borders
 */
export function buildFused(call: OpCall<'fused'>, blockLength = defaultBlockLength): ReferenceKernelProgram {
  const body = call.attributes
  const { domain, kind, instructions } = body
  const rank = domain.length
  const innerStart = kind === 'row' ? rank - body.rowAxes : kind === 'column' ? body.reducedEnd : 0
  const outerEnd = kind === 'column' ? body.reducedStart : innerStart
  const outerSize = sizeOf(domain.slice(0, outerEnd))
  const reducedSize = sizeOf(domain.slice(outerEnd, innerStart))
  const innerSize = sizeOf(domain.slice(innerStart))
  const block = Math.max(1, Math.min(innerSize, blockLength))

  const address = (view: View): Addressed => {
    if (view.strides.length !== rank || !sameShape(view.shape, domain)) {
      throw new TesseraError(
        'PROGRAM_INVALID',
        `fused: an operand of shape ${formatShape(view.shape)} and ${view.strides.length} strides does not have the shape of the ` +
          `domain, ${formatShape(domain)}. Broadcast its view to the domain.`,
      )
    }
    const inner = axisGroup(view, innerStart, rank)
    return {
      offset: view.offset,
      outer: axisGroup(view, 0, outerEnd),
      reduced: axisGroup(view, outerEnd, innerStart),
      inner,
      innerConstant: isConstant(inner),
      base: view.offset,
      positions: new Int32Array(block),
    }
  }
  const inputs = call.inputs.map((operand) => address(operand.view))
  const outputs = call.outputs.map((operand) => address(operand.view))
  const iotas = instructions.map((instruction) =>
    instruction.kind === 'iota'
      ? address({ shape: domain, strides: instruction.strides, offset: instruction.offset })
      : undefined,
  )
  const addressed = [...inputs, ...outputs, ...iotas.filter((iota) => iota !== undefined)]

  const variesAlongRow = (i: number): boolean => {
    const instruction = instructions[i]!
    const source = instruction.kind === 'load' ? inputs[instruction.input] : iotas[i]
    return !source!.innerConstant
  }
  const perRow = kind === 'row' ? perRowInstructions(body, variesAlongRow) : instructions.map(() => false)
  const machine = buildMachine({ call, block, inputs, iotas, outputs, perRow })

  let enteredBlock = -1
  const enterBlock = (start: number, count: number): void => {
    // A domain of a single block keeps its positions for the whole run.
    if (start === enteredBlock) return
    enteredBlock = start
    for (const item of addressed) if (!item.innerConstant) fillPositions(item.inner, start, count, item.positions)
  }

  // Maps and rows: for each outer index, the passes over the inner axes; the last pass stores.
  const runRow = (passes: readonly Pass[], outer: number): void => {
    for (const item of addressed) item.base = item.offset + positionOf(item.outer, outer)
    // A row without elements still has its reductions' identities to store: one block of no elements.
    const blocks = Math.max(1, Math.ceil(innerSize / block))
    for (const pass of passes) {
      machine.startReductions(pass.reductions)
      for (let index = 0; index < blocks; index++) {
        const count = Math.min(block, innerSize - index * block)
        enterBlock(index * block, count)
        for (const i of pass.instructions) machine.steps[i]!(count)
        if (pass !== passes.at(-1)) continue
        outputs.forEach((output, i) => {
          if (!output.innerConstant) machine.store(i, count)
          // Last: until then an input in the same memory may still be read.
          else if (index === blocks - 1) machine.store(i, 1)
        })
      }
    }
  }

  // Columns: for each outer index and block of inner indices, all reduced indices.
  const reductions = instructions.flatMap((instruction, i) => (instruction.kind === 'reduce' ? [i] : []))
  const holdsReduction = body.stores.map((stored) => reductions.includes(stored))
  const runColumn = (outer: number): void => {
    for (let start = 0; start < innerSize; start += block) {
      const count = Math.min(block, innerSize - start)
      enterBlock(start, count)
      machine.startReductions(reductions)
      for (let reduced = 0; reduced < reducedSize; reduced++) {
        for (const item of addressed) {
          item.base = item.offset + positionOf(item.outer, outer) + positionOf(item.reduced, reduced)
        }
        for (const step of machine.steps) step(count)
        outputs.forEach((output, i) => {
          // What does not vary along the reduced axes is written once, at the end.
          const due = !isConstant(output.reduced) || reduced === reducedSize - 1
          if (due && !holdsReduction[i]) machine.store(i, count)
        })
      }
      outputs.forEach((output, i) => {
        if (!holdsReduction[i]) return
        output.base = output.offset + positionOf(output.outer, outer)
        machine.store(i, count)
      })
    }
  }

  const passes = kind === 'column' ? [] : planPasses(body, innerSize <= block)
  return (inputArrays, outputArrays) => {
    machine.inputs = inputArrays
    machine.outputs = outputArrays
    enteredBlock = -1
    if (innerSize === 0 && kind !== 'row') return
    for (let outer = 0; outer < outerSize; outer++) {
      if (kind === 'column') runColumn(outer)
      else runRow(passes, outer)
    }
  }
}
