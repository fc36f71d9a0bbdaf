const attributeKeys = new WeakMap<object, string>()

/** Attributes as text that tells −0 from 0 and knows NaN and infinities. */
export function attributesKey(attributes: object): string {
  const known = attributeKeys.get(attributes)
  if (known !== undefined) return known
  const key = keyOf(attributes)
  attributeKeys.set(attributes, key)
  return key
}

function keyOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(keyOf).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    // What knows its own key (a function as a graph) is not looked into.
    if ('key' in value && typeof value.key === 'string' && Object.getPrototypeOf(value) !== Object.prototype)
      return `<${value.key}>`
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}:${keyOf(item)}`)
      .join(',')}}`
  }
  return Object.is(value, -0) ? '-0' : typeof value === 'string' ? JSON.stringify(value) : String(value)
}
