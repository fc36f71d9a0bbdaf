import { jit, randomKey, splitKey, type Tensor, tensor } from '@tessera/core'
import { crossEntropy, Linear, Module, Sgd, trainingStep } from '@tessera/nn'
import type { FlexpointPolicy } from '@tessera/numerics-flexpoint'
import { isFlex, policyOf } from '../formats/policy.ts'
import { classes, type Images, inputs, type Split } from './data.ts'

export interface RunOptions {
  readonly format: string
  readonly steps: number
  readonly batch: number
  readonly hidden: number
  readonly learningRate: number
  readonly seed: number
}

/** What Autoflex knew of a tensor after a step. */
export interface TracePoint {
  readonly step: number
  readonly tensor: string
  /** Γ, κ, Φ = Γκ, and the largest value that the next scale holds. */
  readonly largest: number
  readonly scale: number
  readonly magnitude: number
  readonly predicted: number
}

export interface RunResult extends RunOptions {
  readonly losses: readonly number[]
  /** Share of test images whose class is found. */
  readonly accuracy: number
  /** Of a step once it is compiled, with reading its loss. */
  readonly millisecondsPerStep: number
  readonly trace: readonly TracePoint[]
  /** Of all uses of all tensors, the share that overflowed, and the mean number of bits that were used; flex formats only. */
  readonly overflowShare?: number
  readonly usedBits?: number
}

class Network extends Module {
  readonly hidden: Linear
  readonly output: Linear

  constructor(hidden: number, key: Tensor) {
    super()
    const [first, second] = splitKey(key)
    this.hidden = new Linear(inputs, hidden, { key: first!, activation: 'relu' })
    this.output = new Linear(hidden, classes, { key: second! })
  }

  forward(x: Tensor): Tensor {
    return this.output.forward(this.hidden.forward(x))
  }
}

/** The tensors whose traces the paper shows. */
const traced: Record<
  string,
  (place: { kind: string; op: string; shape: readonly number[] }, options: RunOptions) => boolean
> = {
  weights: ({ kind, shape }, { hidden }) => kind === 'update' && shape.join() === `${inputs},${hidden}`,
  activations: ({ kind, op, shape }, { batch, hidden }) =>
    kind === 'value' && op !== 'matmul' && shape.join() === `${batch},${hidden}`,
  gradients: ({ kind, op, shape }, { hidden }) =>
    kind === 'value' && op === 'matmul' && shape.join() === `${inputs},${hidden}`,
}

/** Trains the network in one format. The same seed gives the same weights and batches in every format. */
export async function run(
  data: Split,
  options: RunOptions,
  onStep?: (step: number, loss: number) => void,
): Promise<RunResult> {
  const { format, steps, batch, hidden, learningRate, seed } = options
  const policy = policyOf(format)
  const model = new Network(hidden, randomKey(seed))
  const optimizer = new Sgd(model, { learningRate, momentum: 0.9 })
  const step = trainingStep(
    (m: Network, { x, labels }: { x: Tensor; labels: Tensor }) => crossEntropy(m.forward(x), labels),
    { policy },
  )
  const losses: number[] = []
  const trace: TracePoint[] = []
  let milliseconds = 0
  for (let i = 0; i < steps; i++) {
    const examples = batchOf(data.training, batch, seed * 1_000_003 + i)
    const start = performance.now()
    const figures = await step(model, optimizer, undefined, examples).data()
    // The first two steps are compiled.
    if (i > 1) milliseconds += performance.now() - start
    losses.push(figures[0]!)
    onStep?.(i, figures[0]!)
    if (isFlex(policy)) trace.push(...(await tracePoints(policy, options, i)))
  }
  const all = isFlex(policy) ? (await policy.report())[0]!.filter(({ kind }) => kind !== 'initial') : undefined
  const uses = all?.reduce((sum, place) => sum + place.uses, 0) ?? 0
  return {
    ...options,
    losses,
    accuracy: await accuracy(model, data.test, batch),
    millisecondsPerStep: milliseconds / Math.max(1, steps - 2),
    trace,
    ...(all && {
      overflowShare: all.reduce((sum, place) => sum + place.overflows, 0) / uses,
      usedBits: all.reduce((sum, place) => sum + place.usedBits * place.uses, 0) / uses,
    }),
  }
}

async function tracePoints(policy: FlexpointPolicy, options: RunOptions, step: number): Promise<TracePoint[]> {
  const [places] = await policy.report()
  const [states] = policy.groups.map((group) => group.states)
  if (!places || !states) return []
  const stateSize = policy.format.stateSize!
  const data = await states.data()
  return Object.entries(traced).flatMap(([tensor, matches]) => {
    const place = places.find((candidate) => matches(candidate, options))
    if (!place) return []
    // The latest Φ stands behind the seven counters.
    const magnitude = data[place.index * stateSize + 7]!
    return [{ step, tensor, largest: place.largest, scale: place.scale, magnitude, predicted: place.predicted }]
  })
}

/** Images drawn at random: the same for a seed. */
function batchOf({ pixels, labels }: Images, size: number, seed: number): { x: Tensor; labels: Tensor } {
  let state = (seed % 2147483646) + 1
  const chosen = Int32Array.from({ length: size }, () => {
    state = (state * 48271) % 2147483647
    return state % labels.length
  })
  const x = new Float32Array(size * inputs)
  for (const [row, image] of chosen.entries())
    x.set(pixels.subarray(image * inputs, (image + 1) * inputs), row * inputs)
  return { x: tensor(x, [size, inputs]), labels: tensor(Int32Array.from(chosen, (image) => labels[image]!)) }
}

async function accuracy(model: Network, { pixels, labels }: Images, size: number): Promise<number> {
  const classify = jit((m: Network, x: Tensor) => m.forward(x).argMax(-1))
  let right = 0
  for (let start = 0; start < labels.length; start += size) {
    const end = Math.min(start + size, labels.length)
    const found = await classify(
      model,
      tensor(pixels.slice(start * inputs, end * inputs), [end - start, inputs]),
    ).data()
    for (const [i, label] of found.entries()) if (label === labels[start + i]) right++
  }
  return right / labels.length
}
