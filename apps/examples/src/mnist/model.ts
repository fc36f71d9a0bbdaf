import { splitKey, type Tensor } from '@tessera/core'
import { BatchNorm, ChannelDropout, Conv2d, Linear, MaxPool, Module } from '@tessera/nn'

/** Mean and deviation of MNIST's pixels, from 0 to 1. */
const [mean, deviation] = [0.1307, 0.3081]

/** Two convolutions with batch norm and pooling, then two linear layers: 29,902 parameters. */
export class DigitNet extends Module {
  readonly first: Conv2d
  readonly firstNorm = new BatchNorm(8)
  readonly second: Conv2d
  readonly secondNorm = new BatchNorm(16)
  readonly pool = new MaxPool(2)
  readonly dropout: ChannelDropout
  readonly hidden: Linear
  readonly output: Linear

  constructor(key: Tensor) {
    super()
    const [a, b, c, d, e] = splitKey(key, 5) as [Tensor, Tensor, Tensor, Tensor, Tensor]
    this.first = new Conv2d(1, 8, 3, { key: a, padding: 1, bias: false })
    this.second = new Conv2d(8, 16, 3, { key: b, padding: 1, bias: false })
    this.dropout = new ChannelDropout(0.1, { key: c })
    this.hidden = new Linear(16 * 7 * 7, 36, { key: d, activation: 'relu' })
    this.output = new Linear(36, 10, { key: e })
  }

  /**
   * @param images u8 `[batch, 1, 28, 28]`
   * @returns logits `[batch, 10]`
   */
  forward(images: Tensor): Tensor {
    const x = images
      .cast('f32')
      .multiply(1 / (255 * deviation))
      .subtract(mean / deviation)
    const edges = this.pool.forward(this.firstNorm.forward(this.first.forward(x)).relu()) // [batch, 8, 14, 14]
    const shapes = this.pool.forward(this.secondNorm.forward(this.second.forward(edges)).relu()) // [batch, 16, 7, 7]
    return this.output.forward(this.hidden.forward(this.dropout.forward(shapes).flatten(1)))
  }
}
