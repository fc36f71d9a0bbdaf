import { full, keepWide, namedTensors, Tensor, TesseraError, where, zeros } from '@tessera/core'
import { parametersOf } from '../modules/module.ts'
import { type PlacedTensor, replaceTensor } from '../modules/places.ts'
import type { Schedule } from '../schedules/schedules.ts'

/** A number, a schedule, or a scalar tensor: state that a program may replace at any time without a new trace. */
export type LearningRate = number | Schedule | Tensor

/** State of one parameter, by the optimizer's own names. */
export type ParameterState = Readonly<Record<string, Tensor>>

/** What an optimizer makes of one parameter. */
export interface ParameterUpdate {
  readonly value: Tensor
  readonly state: ParameterState
}

/** How one parameter changes at a step. */
export type UpdateRule = (name: string, value: Tensor, gradient: Tensor, state: ParameterState) => ParameterUpdate

export interface UpdateOptions {
  /**
   * A bool scalar: where it is false, the parameters and the optimizer stay as they are, for example because gradients in a small
   * format overflowed. For each parameter's own answer, a function of its path. The step counts when the bool scalar is
   * true, and with a function always.
   */
  readonly apply?: Tensor | ((name: string) => Tensor | undefined)
}

/**
 * What optimizers share: which parameters they update, the count of steps and the learning rate.
 *
 * An optimizer holds its state from the start, so that the first call of a jitted step has the same signature as all others:
 * make it once the model is complete. `update` assigns new tensors onto the model and onto the optimizer itself, and
 * everything that changes from step to step is a tensor, so one compiled program serves every step.
 */
export abstract class Optimizer {
  /** Updates made so far, i32. */
  step: Tensor = zeros([], 'i32')
  /** May be replaced between steps: a tensor by a tensor without a new trace. */
  learningRate: LearningRate
  /** State of each parameter, by kind and then by the parameter's path. */
  readonly state: Readonly<Record<string, Record<string, Tensor>>>
  /** Kinds of state that number formats leave wide. */
  protected readonly wideState: readonly string[] = []
  /** Paths of the parameters. */
  readonly #names: ReadonlySet<string>

  /** @param initialState kinds of state that are zeros of each parameter's shape at first, or a function that makes it */
  constructor(
    model: object,
    learningRate: LearningRate,
    initialState: readonly string[] | ((name: string, parameter: Tensor) => ParameterState),
  ) {
    const parameters = parametersOf(model)
    if (parameters.length === 0) {
      throw new TesseraError(
        'OPTIMIZER_PARAMETERS',
        'The model has no trainable tensors. Were all of its modules frozen?',
      )
    }
    this.learningRate = learningRate
    this.#names = new Set(parameters.map(({ name }) => name))
    const stateOf =
      typeof initialState === 'function'
        ? initialState
        : (_: string, x: Tensor) => Object.fromEntries(initialState.map((kind) => [kind, zerosOf(x)]))
    const state: Record<string, Record<string, Tensor>> = {}
    for (const { name, tensor } of parameters) {
      for (const [kind, value] of Object.entries(stateOf(name, tensor))) {
        state[kind] = { ...state[kind], [name]: value }
      }
    }
    this.state = state
  }

  /**
   * One step: replaces the model's parameters and this optimizer's state. Record it inside of `jit`.
   *
   * @param gradients a tree with the paths of the model, or a record by dotted path, as `valueAndGrad` gives for the model or
   *   for `model.parameters()`
   * @returns the learning rate that was used, a scalar
   */
  update(model: object, gradients: object, { apply }: UpdateOptions = {}): { readonly learningRate: Tensor } {
    const parameters = parametersOf(model)
    const byName = namedTensors(gradients)
    this.#check(parameters, byName)
    this.step = this.step.add(apply instanceof Tensor ? apply.cast('i32') : 1)
    const learningRate = this.#learningRateAt(this.step)
    const next = this.prepare(this.step.cast('f32'), learningRate.cast('f32'))
    for (const parameter of parameters) {
      const { name, tensor } = parameter
      const state = Object.fromEntries(
        Object.entries(this.state).flatMap(([kind, tensors]) => (tensors[name] ? [[kind, tensors[name]]] : [])),
      )
      const format = stateFormat(tensor)
      const update = next(name, tensor.cast(format), byName.get(name)!.cast(format), state)
      const condition = typeof apply === 'function' ? apply(name) : apply
      const keep = (value: Tensor, old: Tensor) => (condition ? where(condition, value, old) : value)
      replaceTensor(parameter, keep(update.value.cast(tensor.dtype), tensor))
      for (const [kind, value] of Object.entries(update.state)) {
        const kept = keep(value, state[kind]!)
        this.state[kind]![name] = this.wideState.includes(kind) ? keepWide(kept) : kept
      }
    }
    return { learningRate }
  }

  /**
   * Computes what all parameters share, as scalars, and gives the rule for one of them. An elementwise rule makes the whole
   * update of a parameter one pass over memory.
   *
   * @param step number of this update from 1, f32
   */
  protected abstract prepare(step: Tensor, learningRate: Tensor): UpdateRule

  #learningRateAt(step: Tensor): Tensor {
    if (this.learningRate instanceof Tensor) return this.learningRate
    return typeof this.learningRate === 'number' ? full([], this.learningRate) : this.learningRate(step)
  }

  #check(parameters: readonly PlacedTensor[], gradients: ReadonlyMap<string, Tensor>): void {
    const found = new Set(parameters.map(({ name }) => name))
    const extra = [...found].filter((name) => !this.#names.has(name))
    const gone = [...this.#names].filter((name) => !found.has(name))
    if (extra.length > 0 || gone.length > 0) {
      throw new TesseraError(
        'OPTIMIZER_PARAMETERS',
        `The trainable tensors of the model are not those that the optimizer was made for: ${describe('new', extra)}${describe('gone', gone)}` +
          'Make the optimizer after the model is complete and its modules are frozen or not.',
      )
    }
    for (const { name, tensor } of parameters) {
      const gradient = gradients.get(name)
      if (!gradient) {
        throw new TesseraError(
          'OPTIMIZER_GRADIENTS',
          `No gradient was given for ${name}. Take gradients of model.parameters(), or of the whole model.`,
        )
      }
      if (gradient.shape.join() !== tensor.shape.join()) {
        throw new TesseraError(
          'OPTIMIZER_GRADIENTS',
          `The gradient of ${name} is ${gradient}, the parameter is ${tensor}. Give the gradient of this very model.`,
        )
      }
    }
  }
}

function describe(what: string, names: readonly string[]): string {
  if (names.length === 0) return ''
  return `${what} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}. `
}

/** Small formats would lose the updates: their state and arithmetic are f32. */
function stateFormat({ dtype }: Tensor): 'f32' | 'f64' {
  return dtype === 'f64' ? 'f64' : 'f32'
}

/** State at the start. */
export function zerosOf(parameter: Tensor): Tensor {
  return zeros(parameter.shape, stateFormat(parameter))
}

/** Which parameters weight decay pulls towards 0, by path and tensor. */
export type DecayRule = (name: string, parameter: Tensor) => boolean

/** Weights of matrices, convolutions and embeddings, but no gains and biases: tensors with at least two axes. */
export const decayMatrices: DecayRule = (_, { rank }) => rank >= 2

/**
 * Paths of the parameters that decay, one a line: a string, so that `jit` tells optimizers with different rules apart.
 */
export function decayedPaths(model: object, decay: DecayRule): string {
  return parametersOf(model)
    .flatMap(({ name, tensor }) => (decay(name, tensor) ? [name] : []))
    .join('\n')
}

/** Refuses hyperparameters out of range. */
export function checkRange(optimizer: string, name: string, value: number, low: number, below: number): void {
  if (!(value >= low && value < below)) {
    const range = below === Number.POSITIVE_INFINITY ? `at least ${low}` : `at least ${low} and below ${below}`
    throw new TesseraError('OPTIMIZER_OPTIONS', `${optimizer}: ${name} must be ${range}, got ${value}.`)
  }
}
