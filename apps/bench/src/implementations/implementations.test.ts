import { describe, expect, it } from 'vitest'
import type { BenchmarkCase } from '../cases/case.ts'
import { conv2dFamily } from '../cases/conv2d.ts'
import { gptDecodeFamily } from '../cases/gpt-decode.ts'

import { gptStepFamily } from '../cases/gpt-step.ts'
import { matmulFamily } from '../cases/matmul.ts'
import { opFamily } from '../cases/op.ts'
import { vggFamily } from '../cases/vgg.ts'
import { Contestant } from '../harness/contestant.ts'
import { entryLabel, type RegistryEntry, registry } from './registry.ts'

/** The first case of the family is checked itself, after the small products in all transposes. */
const product = matmulFamily.cases[0]!
const step = gptStepFamily.cases[0]!

/** Peers need not be installed, and only V8 on x86-64 has a revectoriser. */
function mayBeMissing({ peer, variant }: RegistryEntry): boolean {
  return peer || (variant === 'wide' && process.arch !== 'x64')
}

describe.each(registry.map((entry) => [entryLabel(entry), entry] as const))('%s', (_label, entry) => {
  it('multiplies matrices rightly in all transposes', { timeout: 60_000 }, async ({ skip }) => {
    const started = await Contestant.start(entry, 1)
    if ('reason' in started) return mayBeMissing(entry) ? skip(started.reason) : expect.fail(started.reason)
    try {
      expect(started.version).toMatch(/\d+\.\d+/)
      expect(await started.contestant.prepare(product)).toBeUndefined()
      const turn = await started.contestant.measure({ warmUpMs: 0, sampleMs: 0.1, samples: 2, turnMs: 1000 })
      expect(turn).toEqual({ samplesMs: [expect.any(Number), expect.any(Number)] })
    } finally {
      await started.contestant.close()
    }
  })
})

const trainers = registry.filter(({ implementation }) =>
  ['tessera', 'pytorch', 'tfjs', 'jax-js'].includes(implementation),
)

describe.each(trainers.map((entry) => [entryLabel(entry), entry] as const))('%s', (_label, entry) => {
  it('trains nanoGPT’s CPU recipe to the losses of float64', { timeout: 60_000 }, async ({ skip }) => {
    const started = await Contestant.start(entry, 1)
    if ('reason' in started) return mayBeMissing(entry) ? skip(started.reason) : expect.fail(started.reason)
    try {
      expect(await started.contestant.prepare(step)).toBeUndefined()
    } finally {
      await started.contestant.close()
    }
  })
})

const judged = registry.filter((entry) =>
  ['tessera/relaxed', 'tessera-winograd/relaxed', 'pytorch/native'].includes(entryLabel(entry)),
)
const groups = new Map<string, BenchmarkCase>([
  ...opFamily.checks.map((check): [string, BenchmarkCase] => [opFamily.group!(check), check]),
  ...conv2dFamily.checks.map((check): [string, BenchmarkCase] => [conv2dFamily.group!(check), check]),
  ...vggFamily.checks.map((check): [string, BenchmarkCase] => [check.name, check]),
])

describe.each(judged.map((entry) => [entryLabel(entry), entry] as const))('%s', (_label, entry) => {
  it('computes every op and gradient as float64 does', { timeout: 60_000 }, async ({ skip }) => {
    const started = await Contestant.start(entry, 1)
    if ('reason' in started) return mayBeMissing(entry) ? skip(started.reason) : expect.fail(started.reason)
    try {
      for (const check of groups.values()) expect(await started.contestant.prepare(check), check.name).toBeUndefined()
    } finally {
      await started.contestant.close()
    }
  })
})

const decoders = registry.filter(({ implementation }) => ['tessera', 'onnxruntime-web'].includes(implementation))

describe.each(decoders.map((entry) => [entryLabel(entry), entry] as const))('%s', (_label, entry) => {
  it('decodes a token of a small GPT as float64 does, with weights in every format that it has', {
    timeout: 60_000,
  }, async ({ skip }) => {
    const started = await Contestant.start(entry, 1)
    if ('reason' in started) return mayBeMissing(entry) ? skip(started.reason) : expect.fail(started.reason)
    try {
      for (const check of gptDecodeFamily.checks) {
        const isLeftOut = entry.peer && 'weights' in check && /16/.test(check.weights)
        const reason = isLeftOut ? `has no gpt-decode with ${check.weights} weights` : undefined
        expect(await started.contestant.prepare(check)).toBe(reason)
      }
    } finally {
      await started.contestant.close()
    }
  })
})
