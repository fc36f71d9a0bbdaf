/** Three digits, without an exponent. */
export function digits(time: number): string {
  const text = time.toPrecision(3)
  return text.includes('e') ? time.toFixed(0) : text
}
