import { scan, stack, type Tensor, zeros } from '@tessera/core'
import type { Call, Operator } from '../graph/call.ts'

/** What one direction of a recurrent layer is made of. */
interface Direction {
  /** `[time, batch, gates · width]`: the input's part of the gates, with its bias */
  readonly fromInput: Tensor
  /** `[width, gates · width]` */
  readonly recurrent: Tensor
  /** `[gates · width]`, of the recurrent part; `undefined` for zeros */
  readonly bias: Tensor | undefined
  readonly reverse: boolean
  /** Initial states, `[batch, width]` */
  readonly states: readonly Tensor[]
}

/** A step: the next states, of which the first is the output. */
type Step = (
  fromInput: Tensor,
  fromHidden: Tensor,
  states: readonly Tensor[],
  direction: Direction,
) => readonly Tensor[]

/** Runs both directions, or one, and gives ONNX's outputs: all outputs `[time, directions, batch, width]`, then the last states. */
function recurrent(call: Call, gates: number, stateInputs: readonly number[], step: Step): Tensor[] {
  if (call.has(4)) call.unsupported('a length for each sequence')
  if (call.hasAttribute('clip') || call.integer('layout', 0) !== 0) call.unsupported('clip, or another layout')
  const [x, weights, hiddenWeights] = [call.tensor(0), call.tensor(1), call.tensor(2)]
  const biases = call.optionalTensor(3)
  const width = hiddenWeights.shape[2]!
  const [, batch] = x.shape as [number, number]
  const name = call.text('direction', 'forward')
  const directions = weights.shape[0]!
  const results = Array.from({ length: directions }, (_, index) => {
    const [inputBias, bias] = biases ? biases.select(0, index).split(2, 0) : []
    const product = x.matmul(weights.select(0, index).transpose())
    const direction: Direction = {
      fromInput: inputBias ? product.add(inputBias) : product,
      recurrent: hiddenWeights.select(0, index).transpose(),
      bias,
      reverse: name === 'reverse' || index === 1,
      states: stateInputs.map(
        (input) => call.optionalTensor(input)?.select(0, index) ?? zeros([batch, width], x.dtype),
      ),
    }
    return runDirection(direction, step)
  })
  const outputs = stack(
    results.map(({ outputs }) => outputs),
    1,
  )
  const last = stateInputs.map((_, state) =>
    stack(
      results.map(({ states }) => states[state]!),
      0,
    ),
  )
  if (weights.shape[1] !== gates * width) call.unsupported(`weights of shape [${weights.shape.join(', ')}]`)
  return [outputs, ...last]
}

function runDirection(direction: Direction, step: Step): { outputs: Tensor; states: readonly Tensor[] } {
  const { fromInput, recurrent: weights, bias, reverse } = direction
  const [states, outputs] = scan(
    (states: readonly Tensor[], element: Tensor): readonly [readonly Tensor[], Tensor] => {
      const product = states[0]!.matmul(weights)
      const next = step(element, bias ? product.add(bias) : product, states, direction)
      return [next, next[0]!]
    },
    direction.states,
    fromInput,
    { reverse },
  )
  return { outputs, states }
}

/** The nonlinearities must be those that ONNX has by default. */
function requireActivations(call: Call, defaults: readonly string[]): void {
  if (!call.hasAttribute('activations')) return
  const given = call.texts('activations')
  if (given.some((name, i) => name.toLowerCase() !== defaults[i % defaults.length]!.toLowerCase())) {
    call.unsupported(`the activations ${given.join(', ')}`)
  }
}

const lstm: Operator = (call) => {
  requireActivations(call, ['Sigmoid', 'Tanh', 'Tanh'])
  if (call.has(7) || call.integer('input_forget', 0) === 1) call.unsupported('peepholes, or coupled gates')
  return recurrent(call, 4, [5, 6], (fromInput, fromHidden, [, cell]) => {
    // In the order input, output, forget, candidate.
    const [input, output, forget, candidate] = fromInput.add(fromHidden).split(4, -1) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ]
    const next = forget.sigmoid().multiply(cell!).add(input.sigmoid().multiply(candidate.tanh()))
    return [output.sigmoid().multiply(next.tanh()), next]
  })
}

const gru: Operator = (call) => {
  requireActivations(call, ['Sigmoid', 'Tanh'])
  const isResetLast = call.integer('linear_before_reset', 0) === 1
  return recurrent(call, 3, [5], (fromInput, fromHidden, [hidden], { recurrent: weights, bias }) => {
    // In the order update, reset, candidate.
    const [updateInput, resetInput, candidateInput] = fromInput.split(3, -1) as [Tensor, Tensor, Tensor]
    const [updateHidden, resetHidden, candidateHidden] = fromHidden.split(3, -1) as [Tensor, Tensor, Tensor]
    const update = updateInput.add(updateHidden).sigmoid()
    const reset = resetInput.add(resetHidden).sigmoid()
    const width = hidden!.shape[1]!
    const beforeProduct = () => {
      const product = reset.multiply(hidden!).matmul(weights.slice(1, 2 * width))
      return bias ? product.add(bias.slice(0, 2 * width)) : product
    }
    const candidate = candidateInput.add(isResetLast ? reset.multiply(candidateHidden) : beforeProduct()).tanh()
    return [candidate.add(update.multiply(hidden!.subtract(candidate)))]
  })
}

const rnn: Operator = (call) => {
  requireActivations(call, ['Tanh'])
  return recurrent(call, 1, [5], (fromInput, fromHidden) => [fromInput.add(fromHidden).tanh()])
}

/** Recurrent layers, by their names in ONNX. */
export const recurrentOperators: Readonly<Record<string, Operator>> = { GRU: gru, LSTM: lstm, RNN: rnn }
