/**
 * Fills a vector with numbers in [-1, 1) that depend only on `seed` and the index, so that every implementation,
 * in whatever language, times and is checked on the same values.
 *
 * Each value is the top 24 bits of murmur3's 32-bit finaliser over `index + seed · 0x9e3779b9`, so it is exact in float32.
 *
 * @param scale multiplies each value, which is rounded to float32 again
 * @example uniformInput(4, 1) // Float32Array(4)
 */
export function uniformInput(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length)
  for (let index = 0; index < length; index++) values[index] = Math.fround(hash(index, seed) / 2 ** 31 - 1) * scale
  return values
}

/** [rows, columns] to [columns, rows], a few rows at a time so that caches hold what is written. */
export function transposedMatrix(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length)
  const atOnce = 16
  for (let first = 0; first < rows; first += atOnce) {
    const end = Math.min(rows, first + atOnce)
    for (let j = 0; j < columns; j++) {
      for (let i = first; i < end; i++) result[j * rows + i] = values[i * columns + j]!
    }
  }
  return result
}

/** Token numbers in [0, vocabulary), from the same hash as {@link uniformInput}. */
export function tokenInput(length: number, seed: number, vocabulary: number): Int32Array {
  const tokens = new Int32Array(length)
  for (let index = 0; index < length; index++) tokens[index] = (hash(index, seed) >>> 8) % vocabulary
  return tokens
}

/** 32-bit hash with its low 8 bits cleared. */
function hash(index: number, seed: number): number {
  let bits = (index + Math.imul(seed, 0x9e3779b9)) | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  bits ^= bits >>> 16
  return (bits & 0xffffff00) >>> 0
}
