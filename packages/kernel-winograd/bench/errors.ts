/**
 * Largest errors of the convolution kernels against float64, for inputs and filters uniform in [−1, 1], beside table 5 of Lavin & Gray 2016.
 *
 *   node bench/errors.ts [--json FILE]
 *
 * Depths are those of VGG-E's layers; of each layer 16 filters at 28 × 28 positions are computed, of the last, which has 14 × 14, 64 filters.
 * Errors depend on the depth.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { wasm } from '@tessera/backend-wasm'
import { conv2d, createRuntime, tensor } from '@tessera/core'
import { winograd } from '../src/index.ts'

const layers = [
  { layer: '1.2', extent: 28, filters: 16, channels: 64, paper: { direct: 4.01e-5, f2: 1.53e-5, f4: 2.84e-4 } },
  { layer: '2.2', extent: 28, filters: 16, channels: 128, paper: { direct: 8.01e-5, f2: 2.86e-5, f4: 5.41e-4 } },
  { layer: '3.2', extent: 28, filters: 16, channels: 256, paper: { direct: 1.53e-4, f2: 5.34e-5, f4: 9.06e-4 } },
  { layer: '4.2', extent: 28, filters: 16, channels: 512, paper: { direct: 3.2e-4, f2: 5.34e-5, f4: 1.04e-3 } },
  { layer: '5', extent: 14, filters: 64, channels: 512, paper: { direct: 3.43e-4, f2: 4.2e-5, f4: 1.08e-3 } },
]
const kernels = { direct: 'wasm-convolution', f2: 'winograd-f2', f4: 'winograd-f4' } as const

/** Uniform in [−1, 1), the same at every run. */
function uniform(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  })
}

type Layer = Pick<(typeof layers)[number], 'extent' | 'filters' | 'channels'>

function inFloat64(x: Float32Array, w: Float32Array, { extent, filters, channels }: Layer): Float64Array {
  const result = new Float64Array(filters * extent * extent)
  for (let k = 0; k < filters; k++) {
    for (let c = 0; c < channels; c++) {
      for (let tap = 0; tap < 9; tap++) {
        const [dy, dx] = [Math.floor(tap / 3) - 1, (tap % 3) - 1]
        const weight = w[(k * channels + c) * 9 + tap]!
        for (let y = Math.max(0, -dy); y < Math.min(extent, extent - dy); y++) {
          const [to, from] = [(k * extent + y) * extent, (c * extent + y + dy) * extent + dx]
          for (let i = Math.max(0, -dx); i < Math.min(extent, extent - dx); i++)
            result[to + i]! += weight * x[from + i]!
        }
      }
    }
  }
  return result
}

const { values } = parseArgs({ options: { json: { type: 'string' } } })
const rows: Record<string, unknown>[] = []
for (const entry of layers) {
  const { layer, extent, filters, channels, paper } = entry
  const [x, w] = [uniform(channels * extent * extent, 1), uniform(filters * channels * 9, 2)]
  const expected = inFloat64(x, w, entry)
  for (const [name, kernel] of Object.entries(kernels)) {
    const use = [wasm({ variant: 'relaxed', threads: 1 }), winograd()]
    const runtime = await createRuntime({ use, force: { convolution: kernel } })
    const input = tensor(x, [1, channels, extent, extent])
    const y = await conv2d(input, tensor(w, [filters, channels, 3, 3]), { padding: 1 }).data()
    let [largest, squares, size] = [0, 0, 0]
    expected.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(y[i]! - value))
      squares += (y[i]! - value) ** 2
      size += value ** 2
    })
    await runtime.close()
    const row = {
      layer,
      channels,
      kernel: name,
      largest,
      paper: paper[name as keyof typeof paper],
      rms: Math.sqrt(squares / size),
    }
    rows.push(row)
    console.log(
      [layer, name, largest.toExponential(2), row.paper.toExponential(2), row.rms.toExponential(2)].join('\t'),
    )
  }
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`)
