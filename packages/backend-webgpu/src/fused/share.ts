import type { WebGpuEnvironment } from '../program/contract.ts'
import { indented, type Shader } from '../wgsl/shader.ts'

/** A value that the invocations of a group have parts of: a variable, and how two parts are combined. */
export interface SharedValue {
  readonly name: string
  readonly type: string
  combine(a: string, b: string): string
}

/** How many neighbouring invocations have a value together, a power of two, in workgroups of how many. */
export interface Sharing {
  readonly threads: number
  readonly workgroupSize: number
  /** Invocations of a subgroup, where `local` counts along subgroups: see `subgroupOf`. */
  readonly subgroup: number | undefined
}

/**
 * The invocations of a subgroup, where all subgroups are of one size and workgroups consist of whole ones. Shaders then number their invocations
 * along the subgroups, as the order in which an adapter forms them is its own affair.
 */
export function subgroupOf({ features }: WebGpuEnvironment, workgroupSize: number): number | undefined {
  const [smallest, largest] = features.subgroupSizes
  return features.subgroups && smallest === largest && workgroupSize % smallest === 0 ? smallest : undefined
}

/** Statements by which every invocation gets the combination of all parts: by shuffles within a subgroup, then as a tree through workgroup memory. */
export function combineParts(values: readonly SharedValue[], shader: Shader, sharing: Sharing): string[] {
  const { threads, workgroupSize, subgroup } = sharing
  if (threads === 1 || values.length === 0) return []
  if (subgroup && values.every(({ type }) => type !== 'bool')) return bySubgroups(values, shader, sharing, subgroup)
  for (const { name, type } of values)
    shader.declare(`var<workgroup> shared_${name}: array<${type}, ${workgroupSize}>;`)
  const each = (write: (value: SharedValue, shared: string) => string): string[] =>
    values.map((value) => write(value, `shared_${value.name}`))
  return [
    ...each(({ name }, shared) => `${shared}[local] = ${name};`),
    'workgroupBarrier();',
    `for (var distance = ${threads / 2}u; distance > 0u; distance >>= 1u) {`,
    ...indented([
      `if (local % ${threads}u < distance) {`,
      ...indented(
        each(
          ({ combine }, shared) => `${shared}[local] = ${combine(`${shared}[local]`, `${shared}[local + distance]`)};`,
        ),
      ),
      '}',
      'workgroupBarrier();',
    ]),
    '}',
    ...each(({ name }, shared) => `${name} = ${shared}[local - local % ${threads}u];`),
    'workgroupBarrier();',
  ]
}

function bySubgroups(
  values: readonly SharedValue[],
  shader: Shader,
  { threads, workgroupSize }: Sharing,
  subgroup: number,
): string[] {
  const lines: string[] = []
  for (let distance = Math.min(threads, subgroup) / 2; distance >= 1; distance /= 2) {
    for (const { name, combine } of values) {
      const other = `other${distance}_${name}`
      lines.push(`let ${other} = subgroupShuffleXor(${name}, ${distance}u);`, `${name} = ${combine(name, other)};`)
    }
  }
  if (threads <= subgroup) return lines
  const parts = threads / subgroup
  for (const { name, type } of values) {
    shader.declare(`var<workgroup> shared_${name}: array<${type}, ${workgroupSize / subgroup}>;`)
  }
  return [
    ...lines,
    `if (local % ${subgroup}u == 0u) {`,
    ...values.map(({ name }) => `  shared_${name}[local / ${subgroup}u] = ${name};`),
    '}',
    'workgroupBarrier();',
    ...values.map(({ name }) => `${name} = shared_${name}[local / ${threads}u * ${parts}u];`),
    `for (var part = 1u; part < ${parts}u; part++) {`,
    ...values.map(
      ({ name, combine }) => `  ${name} = ${combine(name, `shared_${name}[local / ${threads}u * ${parts}u + part]`)};`,
    ),
    '}',
    'workgroupBarrier();',
  ]
}
