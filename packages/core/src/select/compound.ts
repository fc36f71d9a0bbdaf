import type { Node } from '../graph/node.ts'
import { rowMajorView } from '../graph/view.ts'
import type { Kernel, KernelLayouts, Limits } from '../plugin/contract.ts'
import type { OpCall } from '../schedule/program.ts'
import { type SelectionRules, selectKernel } from './select.ts'

/**
 * True when a kernel runs an op as a whole, so that it need not be lowered. Asked before memory is planned, so the operands are
 * taken to be row-major.
 */
export function kernelTakes(node: Node, kernels: readonly Kernel[], limits: Limits, rules: SelectionRules): boolean {
  return kernelFor(node, kernels, limits, rules) !== undefined
}

/** The layouts of operands that the kernel of a node takes beside the row-major one. */
export function kernelLayouts(
  node: Node,
  kernels: readonly Kernel[],
  limits: Limits,
  rules: SelectionRules,
): KernelLayouts | undefined {
  return kernelFor(node, kernels, limits, rules)?.layouts
}

function kernelFor(node: Node, kernels: readonly Kernel[], limits: Limits, rules: SelectionRules): Kernel | undefined {
  if (!kernels.some((kernel) => kernel.op === node.op)) return undefined
  const operand = ({ shape, dtype }: { shape: Node['shape']; dtype: Node['dtype'] }, buffer: number) => ({
    buffer,
    dtype,
    view: rowMajorView(shape),
  })
  const call: OpCall = {
    op: node.op,
    attributes: node.attributes,
    inputs: node.inputs.map((input, i) => operand(input, i)),
    outputs: node.outputs.map((output, i) => operand(output, node.inputs.length + i)),
  }
  const choice = selectKernel(call, kernels, limits, rules)
  return 'kernel' in choice ? choice.kernel : undefined
}
