import { type DType, splitKey, type Tensor, zeros } from '@tessera/core'
import { type Initializer, uniform } from '../initializers/initializers.ts'
import { checkExtents } from './check.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'

export interface RecurrentOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  readonly bias?: boolean
  /** First weights; by default uniform within ±1/√width, as in PyTorch. */
  readonly initializer?: Initializer
}

/** The two products that a recurrent cell adds: of its input and of its last output. */
function products(name: string, inputs: number, width: number, gates: number, options: RecurrentOptions) {
  checkExtents(name, { inputs, width })
  const [first, second] = splitKey(options.key) as [Tensor, Tensor]
  const { bias = true, initializer = uniform(-1 / Math.sqrt(width), 1 / Math.sqrt(width)) } = options
  return {
    input: new Linear(inputs, gates * width, { key: first, bias, initializer }),
    recurrent: new Linear(width, gates * width, { key: second, bias, initializer }),
  }
}

export interface LstmState {
  /** The output, `[batch, width]`. */
  readonly hidden: Tensor
  /** The memory, `[batch, width]`. */
  readonly cell: Tensor
}

/**
 * One step of a long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000). Gates stand in PyTorch's order:
 * input, forget, candidate, output.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { LstmCell } from '@tessera/nn'
 * const cell = new LstmCell(3, 5, { key: randomKey(0) })
 * console.log(cell.step(ones([2, 3]), cell.initialState(2)).hidden.shape) // [2, 5]
 * ```
 */
export class LstmCell extends Module {
  readonly width: number
  /** `[inputs, 4 · width]` */
  readonly input: Linear
  /** `[width, 4 · width]` */
  readonly recurrent: Linear

  constructor(inputs: number, width: number, options: RecurrentOptions) {
    super()
    this.width = width
    const { input, recurrent } = products('LstmCell', inputs, width, 4, options)
    this.input = input
    this.recurrent = recurrent
  }

  /** Zeros. */
  initialState(batch: number, dtype: DType = 'f32'): LstmState {
    return { hidden: zeros([batch, this.width], dtype), cell: zeros([batch, this.width], dtype) }
  }

  /** @param x `[batch, inputs]` */
  step(x: Tensor, state: LstmState): LstmState {
    return this.advance(this.input.forward(x), state)
  }

  /** A step whose product with the input is known: sequences compute it for all times at once. */
  advance(fromInput: Tensor, { hidden, cell }: LstmState): LstmState {
    const gates = fromInput.add(this.recurrent.forward(hidden))
    const [input, forget, candidate, output] = gates.split(4, -1) as [Tensor, Tensor, Tensor, Tensor]
    const next = forget.sigmoid().multiply(cell).add(input.sigmoid().multiply(candidate.tanh()))
    return { hidden: output.sigmoid().multiply(next.tanh()), cell: next }
  }
}

/**
 * One step of a gated recurrent unit (Cho et al. 2014), in the form of PyTorch and cuDNN, whose reset gate acts on the product:
 * `n = tanh(W x + r ⊙ (U h + b))`. Gates stand in the order reset, update, candidate.
 */
export class GruCell extends Module {
  readonly width: number
  /** `[inputs, 3 · width]` */
  readonly input: Linear
  /** `[width, 3 · width]` */
  readonly recurrent: Linear

  constructor(inputs: number, width: number, options: RecurrentOptions) {
    super()
    this.width = width
    const { input, recurrent } = products('GruCell', inputs, width, 3, options)
    this.input = input
    this.recurrent = recurrent
  }

  /** Zeros, `[batch, width]`. */
  initialState(batch: number, dtype: DType = 'f32'): Tensor {
    return zeros([batch, this.width], dtype)
  }

  /**
   * @param x `[batch, inputs]`
   * @param hidden `[batch, width]`
   * @returns the next hidden state, which is the output
   */
  step(x: Tensor, hidden: Tensor): Tensor {
    return this.advance(this.input.forward(x), hidden)
  }

  /** A step whose product with the input is known: sequences compute it for all times at once. */
  advance(fromInput: Tensor, hidden: Tensor): Tensor {
    const [resetInput, updateInput, candidateInput] = fromInput.split(3, -1) as [Tensor, Tensor, Tensor]
    const [resetHidden, updateHidden, candidateHidden] = this.recurrent.forward(hidden).split(3, -1) as [
      Tensor,
      Tensor,
      Tensor,
    ]
    const reset = resetInput.add(resetHidden).sigmoid()
    const update = updateInput.add(updateHidden).sigmoid()
    const candidate = candidateInput.add(reset.multiply(candidateHidden)).tanh()
    return candidate.add(update.multiply(hidden.subtract(candidate)))
  }
}
