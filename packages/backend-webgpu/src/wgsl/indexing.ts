/** Axes of a loop nest with the strides of each thing that is addressed. */
export interface Axis {
  readonly extent: number
  readonly strides: readonly number[]
}

/**
 * Statements that turn a flat index over some axes (row-major) into one position for each thing addressed.
 *
 * @param flat name of the index (i32)
 * @param names names of the positions, declared by the statements
 * @param number how extents and strides are written: see `Shader.number`
 */
export function positionsOf(
  flat: string,
  axes: readonly Axis[],
  names: readonly string[],
  number: (value: number) => string,
): string[] {
  const lines: string[] = []
  const terms = names.map((): string[] => [])
  const walked = joinAxes(axes)
  let rest = flat
  for (let axis = walked.length - 1; axis >= 0; axis--) {
    const { extent, strides } = walked[axis]!
    if (extent === 1) continue
    const isUsed = strides.some((stride) => stride !== 0)
    const outer = walked
      .slice(0, axis)
      .some((other) => other.extent > 1 && other.strides.some((stride) => stride !== 0))
    let index = rest
    if (outer || (axis > 0 && walked.slice(0, axis).some((other) => other.extent > 1))) {
      if (isUsed) {
        index = `${flat}Index${axis}`
        lines.push(`let ${index} = ${rest} % ${number(extent)};`)
      }
      if (outer) {
        const next = `${flat}Rest${axis}`
        lines.push(`let ${next} = ${rest} / ${number(extent)};`)
        rest = next
      }
    }
    strides.forEach((stride, i) => {
      if (stride !== 0) terms[i]!.push(stride === 1 ? index : `${index} * ${number(stride)}`)
    })
    if (!outer) break
  }
  names.forEach((name, i) => {
    lines.push(`let ${name} = ${terms[i]!.length === 0 ? '0' : terms[i]!.join(' + ')};`)
  })
  return lines
}

/** Joins neighbouring axes that everything walks through in one stride. */
function joinAxes(axes: readonly Axis[]): Axis[] {
  const joined: Axis[] = []
  for (const axis of axes) {
    if (axis.extent === 1) continue
    const last = joined.at(-1)
    if (last?.strides.every((stride, i) => stride === axis.strides[i]! * axis.extent)) {
      joined[joined.length - 1] = { extent: last.extent * axis.extent, strides: axis.strides }
    } else joined.push(axis)
  }
  return joined
}
