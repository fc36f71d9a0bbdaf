import { mathFunctions } from './math.ts'
import { numberFunctions } from './numbers.ts'

/**
 * WGSL helper functions by name. `$F`, `$I`, `$U`, `$B` stand for the type of one float, signed or unsigned integer or boolean, or of four
 * of them; names that end in `$n` exist for both widths. Functions with neither are scalar.
 */
const functions: Readonly<Record<string, string>> = { ...numberFunctions, ...mathFunctions }

const names = Object.keys(functions)
const types = { F: 'f32', I: 'i32', U: 'u32', B: 'bool' } as const

function atWidth(text: string, suffix: '' | '4'): string {
  return text
    .replace(/\$([FIUB])/g, (_, letter: keyof typeof types) =>
      suffix === '' ? types[letter] : `vec4<${types[letter]}>`,
    )
    .replace(/\$n/g, suffix)
}

/** The helpers that a shader's text calls, and those that they call, each once. */
export function helpersOf(text: string): string {
  const found = new Map<string, string>()
  const visit = (code: string): void => {
    for (const [, name, suffix] of code.matchAll(/\b([a-z][A-Za-z0-9]*?)(4?)\(/g)) {
      // Names may end in a digit themselves.
      for (const [candidate, width] of [
        [`${name}${suffix}`, ''],
        [name!, suffix as '' | '4'],
      ] as const) {
        if (!names.includes(candidate)) continue
        const key = `${candidate}${width}`
        if (found.has(key)) break
        const body = atWidth(functions[candidate]!, width)
        found.set(key, '')
        visit(body.slice(body.indexOf('{')))
        found.delete(key)
        found.set(key, body)
        break
      }
    }
  }
  visit(text)
  return [...found.values()].join('\n')
}
