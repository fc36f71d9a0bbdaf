import type { WebGpuShaderLimits } from '../program/contract.ts'

/**
 * Workgroups for `count` of them in a line, folded into two axes where the limit of one is exceeded, and the
 * expression of the line's index.
 */
export function foldWorkgroups(
  count: number,
  { workgroupsPerAxis }: Pick<WebGpuShaderLimits, 'workgroupsPerAxis'>,
  number: (value: number) => string,
): { readonly workgroups: readonly [number, number, number]; readonly index: string } {
  if (count <= workgroupsPerAxis) return { workgroups: [count, 1, 1], index: 'i32(group.x)' }
  const height = Math.ceil(count / workgroupsPerAxis)
  const width = Math.ceil(count / height)
  return { workgroups: [width, height, 1], index: `(i32(group.y) * ${number(width)} + i32(group.x))` }
}
