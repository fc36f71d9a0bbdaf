import type { AxisReach } from './problem.ts'

/** Statements that take a flat index over axes apart: they declare `name0`, `name1`, … */
export function splitIndex(
  flat: string,
  extents: readonly number[],
  name: string,
  number: (value: number) => string,
): string[] {
  const lines: string[] = []
  let rest = flat
  for (let axis = extents.length - 1; axis > 0; axis--) {
    const extent = number(extents[axis]!)
    lines.push(`let ${name}${axis} = ${extent === '1' ? '0' : `${rest} % ${extent}`};`)
    if (extent !== '1') {
      lines.push(`let ${name}Rest${axis} = ${rest} / ${extent};`)
      rest = `${name}Rest${axis}`
    }
  }
  return [...lines, `let ${name}0 = ${rest};`]
}

/** `index · factor`. */
const times = (index: string, factor: number, number: (value: number) => string): string =>
  factor === 1 ? index : `${index} * ${number(factor)}`

/** `+ amount`, or `- amount`, or nothing. */
const plus = (amount: string, sign: number): string => (sign === 0 ? '' : ` ${sign < 0 ? '-' : '+'} ${amount}`)

/**
 * Statements that declare `atName`, where an element lies along its spatial axes, and `isName`, whether there is one: at a position (`at0`, …) under
 * a tap of the filter (`tap0`, …).
 *
 * The conditions are joined by `&`: `&&` makes a branch of each, and compilers that run branches as masks take a minute for eight elements of them.
 */
export function reachElement(
  name: string,
  at: string,
  tap: string,
  reach: readonly AxisReach[],
  strides: readonly number[],
  number: (value: number) => string,
): string[] {
  const lines: string[] = []
  const conditions: string[] = []
  const terms: string[] = []
  reach.forEach(({ scale, step, shift, divisor, extent }, axis) => {
    const raw = `raw${name}${axis}`
    const steps = plus(times(`${tap}${axis}`, Math.abs(step), number), step)
    const offset = plus(number(Math.abs(shift)), shift)
    lines.push(`let ${raw} = ${times(`${at}${axis}`, scale, number)}${steps}${offset};`)
    const whole = divisor === 1 ? raw : `whole${name}${axis}`
    if (divisor !== 1) {
      lines.push(`let ${whole} = ${raw} / ${number(divisor)};`)
      conditions.push(`(${whole} * ${number(divisor)} == ${raw})`)
    }
    conditions.push(`(${raw} >= 0)`, `(${whole} < ${number(extent)})`)
    terms.push(times(whole, strides[axis]!, number))
  })
  return [...lines, `let is${name} = ${conditions.join(' & ')};`, `let at${name} = ${terms.join(' + ')};`]
}
