import { splitKey, type Tensor, TesseraError } from '@tessera/core'
import { BatchNorm, Conv2d, Dropout, GlobalAveragePool, kaimingNormal, Linear, MaxPool, Module } from '@tessera/nn'

/** Pixels from 0 to 255 as numbers around zero: u8 `[batch, 3, 32, 32]` → f32. */
export function standardized(images: Tensor): Tensor {
  // The mean and the deviation of all pixels of CIFAR-10.
  return images
    .cast('f32')
    .subtract(120.7)
    .multiply(1 / 64.1)
}

/**
 * AlexNet (Krizhevsky et al. 2012, section 3.5) for images of 32 × 32: five convolutions, three of them with pooling behind, and three linear
 * layers with dropout. The first convolution has a window of 5 and no stride, since the images are a seventh as wide.
 */
export class AlexNet extends Module {
  readonly convolutions: Conv2d[]
  readonly pool = new MaxPool(3, { stride: 2 })
  readonly dropout: Dropout
  readonly secondDropout: Dropout
  readonly hidden: Linear
  readonly secondHidden: Linear
  readonly output: Linear

  /** @param width factor of the published 96, 256, 384, 384, 256 channels and 4096 units */
  constructor(width: number, key: Tensor) {
    super()
    const keys = splitKey(key, 10)
    const of = (count: number) => Math.max(1, Math.round(count * width))
    const channels = [3, of(96), of(256), of(384), of(384), of(256)]
    this.convolutions = channels.slice(1).map((outputs, i) => {
      const window = i < 2 ? 5 : 3
      return new Conv2d(channels[i]!, outputs, window, {
        key: keys[i]!,
        padding: (window - 1) / 2,
        initializer: kaimingNormal(),
        activation: 'relu',
      })
    })
    this.hidden = new Linear(9 * channels[5]!, of(4096), { key: keys[5]!, activation: 'relu' })
    this.secondHidden = new Linear(of(4096), of(4096), { key: keys[6]!, activation: 'relu' })
    this.output = new Linear(of(4096), 10, { key: keys[7]! })
    this.dropout = new Dropout(0.5, { key: keys[8]! })
    this.secondDropout = new Dropout(0.5, { key: keys[9]! })
  }

  /** u8 `[batch, 3, 32, 32]` → logits `[batch, 10]` */
  forward(images: Tensor): Tensor {
    let x = standardized(images)
    for (const [i, convolution] of this.convolutions.entries()) {
      x = convolution.forward(x)
      // 32 → 15 → 7 → 3
      if (i === 0 || i === 1 || i === 4) x = this.pool.forward(x)
    }
    const hidden = this.hidden.forward(this.dropout.forward(x.flatten(1)))
    return this.output.forward(this.secondHidden.forward(this.secondDropout.forward(hidden)))
  }
}

class ResidualBlock extends Module {
  readonly first: Conv2d
  readonly firstNorm: BatchNorm
  readonly second: Conv2d
  readonly secondNorm: BatchNorm
  readonly stride: number

  constructor(inputs: number, outputs: number, key: Tensor) {
    super()
    const [a, b] = splitKey(key) as [Tensor, Tensor]
    this.stride = inputs === outputs ? 1 : 2
    const options = { padding: 1, bias: false, initializer: kaimingNormal() }
    this.first = new Conv2d(inputs, outputs, 3, { key: a, stride: this.stride, ...options })
    this.firstNorm = new BatchNorm(outputs)
    this.second = new Conv2d(outputs, outputs, 3, { key: b, ...options })
    this.secondNorm = new BatchNorm(outputs)
  }

  forward(x: Tensor): Tensor {
    const y = this.firstNorm.forward(this.first.forward(x)).relu()
    return this.#shortcut(x)
      .add(this.secondNorm.forward(this.second.forward(y)))
      .relu()
  }

  /** Every second pixel, and zeros for the channels that are new: option A of the paper. */
  #shortcut(x: Tensor): Tensor {
    if (this.stride === 1) return x
    const [, channels] = x.shape as [number, number]
    const [batch, , height, width] = x.shape as [number, number, number, number]
    const thinned = x
      .reshape([batch, channels, height / 2, 2, width / 2, 2])
      .select(5, 0)
      .select(3, 0)
    return thinned.pad([
      [0, 0],
      [channels / 2, channels / 2],
      [0, 0],
      [0, 0],
    ])
  }
}

/** The residual network for CIFAR-10 (He et al. 2016, section 4.2): 6n + 2 layers with 16, 32 and 64 channels, shortcuts without parameters. */
export class ResNet extends Module {
  readonly first: Conv2d
  readonly firstNorm = new BatchNorm(16)
  readonly blocks: ResidualBlock[]
  readonly pool = new GlobalAveragePool()
  readonly output: Linear

  /** @param depth 6n + 2: 20, 32, 44, 56, 110 in the paper */
  constructor(depth: number, key: Tensor) {
    super()
    const perStage = (depth - 2) / 6
    if (!Number.isInteger(perStage) || perStage < 1) {
      throw new TesseraError('RESNET_DEPTH', `ResNet: the depth must be 6n + 2, such as 20, 32 or 110; got ${depth}.`)
    }
    const keys = splitKey(key, 3 * perStage + 2)
    this.first = new Conv2d(3, 16, 3, { key: keys[0]!, padding: 1, bias: false, initializer: kaimingNormal() })
    this.blocks = Array.from({ length: 3 * perStage }, (_, i) => {
      const channels = (block: number) => 16 * 2 ** Math.floor(Math.max(block, 0) / perStage)
      return new ResidualBlock(channels(i - 1), channels(i), keys[i + 1]!)
    })
    this.output = new Linear(64, 10, { key: keys.at(-1)! })
  }

  /** u8 `[batch, 3, 32, 32]` → logits `[batch, 10]` */
  forward(images: Tensor): Tensor {
    let x = this.firstNorm.forward(this.first.forward(standardized(images))).relu()
    for (const block of this.blocks) x = block.forward(x)
    return this.output.forward(this.pool.forward(x))
  }
}
