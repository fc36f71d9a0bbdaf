import { concatenate, type DType, promote, scan, splitKey, type Tensor } from '@tessera/core'
import { checkExtents } from './check.ts'
import { Dropout } from './dropout.ts'
import type { Linear } from './linear.ts'
import { Module } from './module.ts'
import { GruCell, LstmCell, type LstmState, type RecurrentOptions } from './recurrent-cells.ts'

export interface RecurrentLayerOptions extends RecurrentOptions {
  /** Layers on top of each other; 1 by default. */
  readonly layers?: number
  /** Whether each layer also runs from the end to the beginning; outputs of both stand side by side. */
  readonly bidirectional?: boolean
  /** Rate of dropout between layers; 0 by default. */
  readonly dropout?: number
}

/** The part of a cell that a sequence needs. */
interface Cell<State> extends Module {
  readonly input: Linear
  initialState(batch: number, dtype: DType): State
  advance(fromInput: Tensor, state: State): State
}

/** Outputs of a sequence, and the states after it: those of each layer, and of its directions in turn. */
export interface SequenceResult<State> {
  /** `[batch, time, directions · width]`, of the last layer */
  readonly outputs: Tensor
  readonly states: readonly State[]
}

abstract class RecurrentLayers<State> extends Module {
  readonly cells: readonly Cell<State>[]
  readonly directions: 1 | 2
  readonly dropouts: readonly Dropout[]

  constructor(
    name: string,
    inputs: number,
    width: number,
    options: RecurrentLayerOptions,
    makeCell: (inputs: number, options: RecurrentOptions) => Cell<State>,
  ) {
    super()
    const { key, layers = 1, bidirectional = false, dropout = 0, ...others } = options
    checkExtents(name, { inputs, width, layers })
    this.directions = bidirectional ? 2 : 1
    const keys = splitKey(key, layers * this.directions + layers)
    this.cells = Array.from({ length: layers * this.directions }, (_, i) =>
      makeCell(i < this.directions ? inputs : this.directions * width, { ...others, key: keys[i]! }),
    )
    this.dropouts =
      dropout > 0
        ? keys.slice(layers * this.directions, -1).map((dropoutKey) => new Dropout(dropout, { key: dropoutKey }))
        : []
  }

  protected abstract outputOf(state: State): Tensor

  /**
   * @param x `[batch, time, inputs]`
   * @param states what an earlier call gave, to go on with a sequence in one direction; zeros by default
   */
  forward(x: Tensor, states?: readonly State[]): SequenceResult<State> {
    const last: State[] = []
    let outputs = x
    for (let first = 0; first < this.cells.length; first += this.directions) {
      const layer = first / this.directions
      const input = layer > 0 ? (this.dropouts[layer - 1]?.forward(outputs) ?? outputs) : outputs
      const results = this.cells.slice(first, first + this.directions).map((cell, direction) => {
        const initial =
          states?.[first + direction] ?? cell.initialState(x.shape[0]!, promote(x.dtype, cell.input.weight.dtype))
        return this.#run(cell, input, initial, direction === 1)
      })
      outputs = concatenate(
        results.map((result) => result.outputs),
        -1,
      )
      last.push(...results.map(({ state }) => state))
    }
    return { outputs, states: last }
  }

  /** The product with the inputs is made for all times at once; the loop has only the recurrent one. */
  #run(cell: Cell<State>, x: Tensor, initial: State, reverse: boolean): { outputs: Tensor; state: State } {
    const [state, outputs] = scan(
      (current: State, fromInput: Tensor): readonly [State, Tensor] => {
        const next = cell.advance(fromInput, current)
        return [next, this.outputOf(next)]
      },
      initial,
      cell.input.forward(x).transpose([1, 0, 2]),
      { reverse },
    )
    return { outputs: outputs.transpose([1, 0, 2]), state }
  }
}

/**
 * Layers of long short-term memory over whole sequences, as PyTorch's `nn.LSTM` with `batch_first`. The loop is a `scan`: its program does not grow with
 * the sequence.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Lstm } from '@tessera/nn'
 * const layer = new Lstm(8, 16, { key: randomKey(0), layers: 2, bidirectional: true })
 * const { outputs, states } = layer.forward(ones([2, 10, 8]))
 * console.log(outputs.shape, states.length, states[0]!.hidden.shape) // [2, 10, 32] 4 [2, 16]
 * ```
 */
export class Lstm extends RecurrentLayers<LstmState> {
  constructor(inputs: number, width: number, options: RecurrentLayerOptions) {
    super('Lstm', inputs, width, options, (extent, others) => new LstmCell(extent, width, others))
  }

  protected override outputOf({ hidden }: LstmState): Tensor {
    return hidden
  }
}

/** Layers of gated recurrent units over whole sequences, as PyTorch's `nn.GRU` with `batch_first`. */
export class Gru extends RecurrentLayers<Tensor> {
  constructor(inputs: number, width: number, options: RecurrentLayerOptions) {
    super('Gru', inputs, width, options, (extent, others) => new GruCell(extent, width, others))
  }

  protected override outputOf(state: Tensor): Tensor {
    return state
  }
}
