/** Two matrices of 256 × 256, row by row, and a check of their product. */
export const size = 256
export const left = Float32Array.from({ length: size * size }, (_, i) => (i % 7) - 3)
export const right = Float32Array.from({ length: size * size }, (_, i) => (i % 5) - 2)

export function check(product) {
  for (const [row, column] of [
    [0, 0],
    [17, 255],
    [255, 31],
  ]) {
    let expected = 0
    for (let k = 0; k < size; k++) expected += left[row * size + k] * right[k * size + column]
    const found = product[row * size + column]
    if (found !== expected) throw new Error(`the product holds ${found} at ${row}, ${column}, not ${expected}`)
  }
  return { sinceNavigation: performance.now() }
}
