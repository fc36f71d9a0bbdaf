/**
 * Speed of the matrix product on one thread, against the multiply-add limit measured in the same run.
 *
 *   node bench/matmul.ts [--wide] [--variants plain,relaxed] [--filter 512/NN] [--json FILE]
 *
 * `--wide` turns V8's revectoriser on, which changes all code, so it measures the variant `wide` alone.
 */
import { writeFileSync } from 'node:fs'
import { arch, cpus, platform } from 'node:os'
import { parseArgs } from 'node:util'
import { f32x4, i32, ModuleBuilder, v128 } from '../src/assembler/index.ts'
import type { MatmulInstance } from '../src/kernels/matmul/harness.ts'
import { instantiateMatmul, reserved } from '../src/kernels/matmul/harness.ts'
import { multiplyAdd } from '../src/kernels/matmul/tile.ts'
import type { Variant } from '../src/variant.ts'
import { enableRelaxedSimdInNode20, enableRevectorizer, supportsRelaxedSimd } from '../src/variant.ts'

interface Case {
  readonly name: string
  readonly batch: number
  readonly m: number
  readonly n: number
  readonly k: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

const cases: Case[] = []
for (const size of [64, 128, 256, 512, 1024]) {
  for (const form of ['NN', 'NT', 'TN', 'TT']) addCase(`matmul/${size}/${form}`, 1, size, size, size, form)
}
addCase('matmul/768x128x512/NN', 1, 768, 512, 128, 'NN')
addCase('matmul/768x512x128/NN', 1, 768, 128, 512, 'NN')
addCase('matmul/128x768x512/TN', 1, 128, 512, 768, 'TN')
addCase('matmul/48x64x32x64/NT', 48, 64, 64, 32, 'NT')
addCase('matmul/48x64x64x32/NN', 48, 64, 32, 64, 'NN')
for (const rows of [1, 2, 4, 8, 16]) {
  addCase(`matmul/${rows}x768x768/NN`, 1, rows, 768, 768, 'NN')
  addCase(`matmul/${rows}x768x768/NT`, 1, rows, 768, 768, 'NT')
}

function addCase(name: string, batch: number, m: number, n: number, k: number, form: string): void {
  cases.push({ name, batch, m, n, k, transposeA: form[0] === 'T', transposeB: form[1] === 'T' })
}

/** Multiply-adds that touch no memory: GFLOP/s of one core for this variant. */
function measureLimit(variant: Variant): number {
  const rounds = 4096
  // Enough independent chains to hide the latency, few enough to stay in 16 registers with the two factors.
  const vectors = variant === 'wide' ? 24 : 12
  const module = new ModuleBuilder()
  module.importMemory('env', 'memory', { minimum: 1 })
  const run = module.function('run', {}, 'void', (fn) => {
    const sums = fn.locals('v128', vectors, 'sum')
    sums.forEach((sum, i) => {
      fn.set(sum, v128.load(0, 16 * i))
    })
    const [x, y] = [fn.local('v128', 'x', f32x4.splat(0.999)), fn.local('v128', 'y', f32x4.splat(0.001))]
    const rest = fn.local('i32', 'rest', rounds)
    fn.loop((next) => {
      for (const sum of sums)
        fn.set(sum, variant === 'plain' ? f32x4.add(f32x4.mul(sum, x), y) : multiplyAdd(variant, sum, x, y))
      fn.increment(rest, -1)
      fn.branchIf(next, i32.gtS(rest, 0))
    })
    sums.forEach((sum, i) => {
      fn.store('v128', 0, sum, 16 * i)
    })
  })
  module.export(run)
  const memory = new WebAssembly.Memory({ initial: 1 })
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.toBytes()), { env: { memory } })
  const times = repeat(instance.exports.run as () => void, 100)
  return (8 * vectors * rounds) / times.minimum / 1e6
}

/** Milliseconds of one call: the least, the middle and the greatest of at least 15 samples. */
function repeat(run: () => void, milliseconds: number) {
  const warmUntil = performance.now() + milliseconds / 2
  let calls = 0
  const start = performance.now()
  while (performance.now() < warmUntil || calls < 3) {
    run()
    calls++
  }
  const perSample = Math.max(1, Math.round((calls * 2) / (performance.now() - start)))
  const samples: number[] = []
  const until = performance.now() + milliseconds
  while (samples.length < 15 || performance.now() < until) {
    const begin = performance.now()
    for (let i = 0; i < perSample; i++) run()
    samples.push((performance.now() - begin) / perSample)
  }
  samples.sort((a, b) => a - b)
  return { minimum: samples[0]!, median: samples[samples.length >> 1]!, maximum: samples.at(-1)! }
}

function measure(instance: MatmulInstance, { batch, m, n, k, transposeA, transposeB }: Case) {
  const place = (rows: number, columns: number, transposed: boolean) => ({
    bytes: 4 * batch * rows * columns,
    layout: {
      rowStride: transposed ? 1 : columns,
      columnStride: transposed ? rows : 1,
      batchStrides: [rows * columns],
    },
  })
  const [a, b, c] = [place(m, k, transposeA), place(k, n, transposeB), place(m, n, false)]
  const align = (address: number) => Math.ceil(address / 64) * 64
  const bAddress = align(reserved + a.bytes)
  const cAddress = align(bAddress + b.bytes)
  const addresses = { a: reserved, b: bAddress, c: cAddress, scratch: align(cAddress + c.bytes) }
  instance.floats.subarray(reserved / 4, cAddress / 4).forEach((_, i, values) => {
    values[i] = ((i * 2654435761) % 1000) / 1000 - 0.5
  })
  const plan = instance.plan({ m, n, k, batch: [batch], a: a.layout, b: b.layout, c: c.layout })
  instance.load(plan)
  return { ...repeat(() => instance.run(addresses, 0, 1), 150), method: plan.method }
}

const { values } = parseArgs({
  options: {
    wide: { type: 'boolean', default: false },
    variants: { type: 'string', default: 'plain,relaxed' },
    filter: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})
if (values.wide && !(await enableRevectorizer())) throw new Error('--wide needs Node 24 or later on x86-64')
await enableRelaxedSimdInNode20()
const variants = values.wide ? ['wide' as const] : (values.variants.split(',') as Variant[])
const limits: Record<string, number> = {}
const results: object[] = []
for (const variant of variants) {
  if (variant !== 'plain' && !supportsRelaxedSimd()) continue
  const limit = measureLimit(variant)
  limits[`${variant}MultiplyAddGflops`] = limit
  console.log(`${variant}: multiply-add limit ${limit.toFixed(1)} GFLOP/s`)
  const instance = instantiateMatmul(variant, 64 * 1024 * 1024)
  for (const item of cases.filter(({ name }) => name.includes(values.filter))) {
    const time = measure(instance, item)
    const gflops = (2 * item.batch * item.m * item.n * item.k) / time.minimum / 1e6
    const share = gflops / limit
    console.log(
      `${item.name.padEnd(26)} ${variant.padEnd(8)} ${gflops.toFixed(1).padStart(6)} GFLOP/s ${(100 * share).toFixed(0).padStart(4)} %  ${time.method}`,
    )
    results.push({
      case: item.name,
      implementation: 'tessera-wasm',
      variant,
      threads: 1,
      medianMs: time.median,
      minMs: time.minimum,
      maxMs: time.maximum,
      gflops,
      shareOfLimit: share,
    })
  }
}
if (values.json) {
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    platform: platform(),
    arch: arch(),
    node: process.version,
  }
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, date: new Date().toISOString(), limits, cases: results }, null, 2)}\n`,
  )
}
