import { jit, leakyRelu, randomKey, randomNormal, splitKey, Tensor, valueAndGrad } from '@tessera/core'
import {
  BatchNorm,
  Conv2d,
  ConvTranspose2d,
  captureCheckpoint,
  Linear,
  Module,
  normal,
  type Optimizer,
  RmsProp,
  resumeRun,
} from '@tessera/nn'
import { type HostTensor, Loader } from '@tessera/nn/data'
import type { CifarImages } from './cifar.ts'
import type { Budget, RunContext, Task, TaskResult } from './task.ts'

/** Numbers that an image is made from. */
const latent = 64
const initializer = normal(0.02)

/** The generator of DCGAN (Radford et al. 2016) for images of 32 × 32. */
export class Generator extends Module {
  readonly first: Linear
  readonly norms: BatchNorm[]
  readonly layers: ConvTranspose2d[]
  readonly width: number

  /** @param width channels before the last layer; twice and four times as many further inside */
  constructor(width: number, key: Tensor) {
    super()
    this.width = width
    const keys = splitKey(key, 4)
    this.first = new Linear(latent, 16 * 4 * width, { key: keys[0]!, bias: false })
    this.norms = [4, 2, 1].map((factor) => new BatchNorm(factor * width))
    this.layers = [4, 2, 1].map((factor, i) => {
      const outputs = i < 2 ? (factor / 2) * width : 3
      return new ConvTranspose2d(factor * width, outputs, 4, {
        key: keys[i + 1]!,
        stride: 2,
        padding: 1,
        bias: i === 2,
        initializer,
      })
    })
  }

  /** f32 `[batch, 64]` → images from −1 to 1, `[batch, 3, 32, 32]` */
  forward(noise: Tensor): Tensor {
    let x = this.first.forward(noise).reshape([-1, 4 * this.width, 4, 4])
    for (const [i, layer] of this.layers.entries()) x = layer.forward(this.norms[i]!.forward(x).relu())
    return x.tanh()
  }
}

/** The critic of a Wasserstein GAN: as the discriminator of DCGAN, without a sigmoid. */
export class Critic extends Module {
  readonly layers: Conv2d[]
  readonly norms: BatchNorm[]
  readonly output: Linear

  constructor(width: number, key: Tensor) {
    super()
    const keys = splitKey(key, 4)
    const channels = [3, width, 2 * width, 4 * width]
    this.layers = channels
      .slice(1)
      .map(
        (outputs, i) =>
          new Conv2d(channels[i]!, outputs, 4, { key: keys[i]!, stride: 2, padding: 1, bias: i === 0, initializer }),
      )
    this.norms = channels.slice(2).map((outputs) => new BatchNorm(outputs))
    this.output = new Linear(16 * 4 * width, 1, { key: keys[3]!, initializer })
  }

  /** Images from −1 to 1 `[batch, 3, 32, 32]` → scores `[batch, 1]` */
  forward(images: Tensor): Tensor {
    let x = images
    for (const [i, layer] of this.layers.entries()) {
      const y = layer.forward(x)
      x = leakyRelu(i === 0 ? y : this.norms[i - 1]!.forward(y), 0.2)
    }
    return this.output.forward(x.flatten(1))
  }

  /** Keeps all parameters within ± a limit, which bounds how fast scores change (Arjovsky et al. 2017, algorithm 1). */
  clip(limit: number): void {
    for (const module of this.modules() as (Module & Record<'weight' | 'bias' | 'gain', Tensor | undefined>)[]) {
      for (const name of ['weight', 'bias', 'gain'] as const) {
        const value = module[name]
        if (value instanceof Tensor) module[name] = value.minimum(limit).maximum(-limit)
      }
    }
  }
}

interface Nets {
  readonly generator: Generator
  readonly critic: Critic
}

/** Updates of the critic for each update of the generator, and the limit of its parameters: those of Arjovsky et al. 2017. */
const [criticUpdates, clipping] = [5, 0.01]

const toImages = (pixels: Tensor) =>
  pixels
    .cast('f32')
    .multiply(1 / 127.5)
    .subtract(1)

/** Score of real images less that of made ones: the critic's estimate of the Wasserstein distance, up to a factor. */
const estimate = ({ generator, critic }: Nets, pixels: Tensor, noise: Tensor) =>
  critic
    .forward(toImages(pixels))
    .mean()
    .subtract(critic.forward(generator.forward(noise)).mean())

/** @param onSamples is given 64 images of the trained generator, u8 `[64, 3, 32, 32]` */
export function ganTask(
  images: CifarImages,
  { steps, batch, learningRate }: Budget,
  width: number,
  onSamples?: (samples: Uint8Array, context: RunContext) => Promise<void>,
): Task {
  return { name: 'wgan', unit: 'images', metric: 'Wasserstein estimate', run }

  async function run(context: RunContext): Promise<TaskResult> {
    const { seed, policy, signal, observers, checkpoint, resume } = context
    const [a, b, noiseKey] = splitKey(randomKey(seed), 3) as [Tensor, Tensor, Tensor]
    const nets: Nets = { generator: new Generator(width, a), critic: new Critic(width, b) }
    const optimizerOf = (model: Module) => new RmsProp(model, { learningRate })
    const state = {
      ...nets,
      generatorOptimizer: optimizerOf(nets.generator),
      criticOptimizer: optimizerOf(nets.critic),
      noise: { key: noiseKey },
    }
    const options = policy ? { policy } : {}
    const draw = (noise: { key: Tensor }) => {
      const [used, next] = splitKey(noise.key) as [Tensor, Tensor]
      noise.key = next
      return randomNormal(used, [batch, latent])
    }
    const criticStep = jit((all: Nets, optimizer: Optimizer, noise: { key: Tensor }, pixels: Tensor) => {
      const { value, gradients } = valueAndGrad(all.critic, () => estimate(all, pixels, draw(noise)).negate())
      optimizer.update(all.critic, gradients)
      all.critic.clip(clipping)
      return value.negate()
    }, options)
    const generatorStep = jit((all: Nets, optimizer: Optimizer, noise: { key: Tensor }) => {
      const { gradients } = valueAndGrad(all.generator, (generator) =>
        all.critic
          .forward(generator.forward(draw(noise)))
          .mean()
          .negate(),
      )
      optimizer.update(all.generator, gradients)
    }, options)

    const start = checkpoint && resume ? resumeRun(await checkpoint.load(), state, policy) : undefined
    const losses = [...((start?.metadata.estimates as number[] | undefined) ?? [])]
    const batches = new Loader(images.training.shuffle(seed).batch(batch).tensors(), { steps: steps * criticUpdates })
    const times: number[] = []
    let step = start?.step ?? 0
    const save = async () => {
      const parts = { ...state, ...(policy?.state && { policy: policy.state() }) }
      await checkpoint?.save(await captureCheckpoint(parts, { step, estimates: losses }))
    }
    try {
      while (step < steps && !signal.aborted) {
        const begun = performance.now()
        let total = 0
        for (let i = 0; i < criticUpdates; i++) {
          const { image, label } = await batches.at(step * criticUpdates + i)
          total += await criticStep(nets, state.criticOptimizer, state.noise, image).item()
          image.dispose()
          label.dispose()
        }
        generatorStep(nets, state.generatorOptimizer, state.noise)
        losses.push(total / criticUpdates)
        step++
        const milliseconds = performance.now() - begun
        times.push(milliseconds)
        const record = { step, loss: losses.at(-1)!, learningRate, gradientNorm: 0, milliseconds }
        const progress = {
          step,
          steps,
          tokensPerSecond: (criticUpdates * batch * 1000) / milliseconds,
          secondsLeft: times.length > 2 ? ((steps - step) * milliseconds) / 1000 : undefined,
        }
        for (const observer of observers) observer.onStep?.(record, progress)
      }
    } finally {
      for (const observer of observers) observer.onEnd?.()
    }
    await save()
    if (onSamples) await onSamples(await samplesOf(nets.generator), context)
    const sorted = times.slice(2).sort((x, y) => x - y)
    return {
      losses,
      metric: await heldOut(nets),
      millisecondsPerStep: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
      parameters: nets.generator.parameterCount + nets.critic.parameterCount,
      interrupted: step < steps,
    }
  }

  /** The estimate over test images. */
  async function heldOut(nets: Nets): Promise<number> {
    const judge = jit((all: Nets, pixels: Tensor, noise: Tensor) => estimate(all, pixels, noise))
    const found: number[] = []
    const data = images.test
      .slice(0, 10 * batch)
      .batch(batch)
      .tensors()
    for (let i = 0; i < data.length; i++) {
      const { image } = await data.at(i)
      found.push(await judge(nets, image, randomNormal(randomKey(i), [batch, latent])).item())
    }
    return found.reduce((sum, value) => sum + value, 0) / found.length
  }
}

async function samplesOf(generator: Generator): Promise<Uint8Array> {
  generator.eval()
  const made = generator.forward(randomNormal(randomKey(0), [64, latent]))
  const pixels = await made.add(1).multiply(127.5).round().cast('u8').data()
  generator.train()
  return pixels as Uint8Array
}

/** Images in a grid: u8 `[images, 3, 32, 32]` → `[3, height, width]`. */
export function imageGrid(samples: Uint8Array, columns: number): HostTensor<Uint8Array> {
  const count = samples.length / 3072
  const [width, height] = [columns * 34 + 2, Math.ceil(count / columns) * 34 + 2]
  const data = new Uint8Array(3 * width * height).fill(255)
  for (let image = 0; image < count; image++) {
    const [left, top] = [2 + 34 * (image % columns), 2 + 34 * Math.floor(image / columns)]
    for (let i = 0; i < 3072; i++) {
      const [x, y, channel] = [i % 32, Math.floor(i / 32) % 32, Math.floor(i / 1024)]
      data[channel * width * height + (top + y) * width + left + x] = samples[image * 3072 + i]!
    }
  }
  return { data, shape: [3, height, width] }
}
