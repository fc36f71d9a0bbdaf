import { isFloat, type Tensor, visitTree } from '@tessera/core'
import { type PlacedTensor, placedTensors } from './places.ts'

/**
 * The base class of models and their parts. A module is an ordinary object: its own fields hold tensors, other modules, and
 * arrays and records of them, and that is all that functions like `jit`, `valueAndGrad`, optimizers and checkpoints look at.
 * So keep tensors in public fields, not in `#private` ones, which cannot be walked.
 *
 * @example
 * ```ts
 * import { randomKey, splitKey, type Tensor, zeros } from '@tessera/core'
 * import { Linear, Module } from '@tessera/nn'
 * class Classifier extends Module {
 *   readonly hidden: Linear
 *   readonly output: Linear
 *   constructor(key: Tensor) {
 *     super()
 *     const [first, second] = splitKey(key) as [Tensor, Tensor]
 *     this.hidden = new Linear(784, 64, { key: first })
 *     this.output = new Linear(64, 10, { key: second })
 *   }
 *   forward(x: Tensor): Tensor {
 *     return this.output.forward(this.hidden.forward(x).relu())
 *   }
 * }
 * const model = new Classifier(randomKey(0))
 * console.log(model.parameterCount, model.forward(zeros([2, 784])).shape) // 50890, [2, 10]
 * ```
 */
export abstract class Module {
  /** Whether layers like dropout are active. Set by `train` and `eval`; `jit` traces each mode separately. */
  training = true
  /** Whether the parameters of this module are left as they are by optimizers. Set by `freeze` and `unfreeze`. */
  frozen = false

  /** Names of the fields that hold floating-point state which is not trained, such as running statistics. */
  bufferNames(): readonly string[] {
    return []
  }

  /**
   * The trainable tensors by dotted path, for example `blocks.0.attention.weight`: floating-point, neither buffers nor in a
   * frozen module. A tensor that stands at several paths (tied weights) is listed once, under the first.
   */
  parameters(): Record<string, Tensor> {
    return Object.fromEntries(parametersOf(this).map(({ name, tensor }) => [name, tensor]))
  }

  /** Number of trainable elements. */
  get parameterCount(): number {
    return parametersOf(this).reduce((count, { tensor }) => count + tensor.size, 0)
  }

  /** This module and the modules inside it, each once. */
  modules(): Module[] {
    const found = new Set<Module>()
    visitTree(this, (_, __, owner) => {
      // Every module owns the leaf `training`, so every module is met here.
      if (owner instanceof Module) found.add(owner)
    })
    return [...found]
  }

  /** Switches this module and those inside it to training. */
  train(): this {
    for (const module of this.modules()) module.training = true
    return this
  }

  /** Switches this module and those inside it to inference: dropout passes everything. */
  eval(): this {
    for (const module of this.modules()) module.training = false
    return this
  }

  /** Keeps the parameters of this module, and of those inside it, out of `parameters()`, gradients and updates. */
  freeze(): this {
    for (const module of this.modules()) module.frozen = true
    return this
  }

  unfreeze(): this {
    for (const module of this.modules()) module.frozen = false
    return this
  }
}

/** A module that maps one tensor to one. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor
}

/**
 * The trainable tensors of a tree of modules, records and arrays: floating-point, and neither a buffer nor in a frozen module.
 */
export function parametersOf(tree: object): PlacedTensor[] {
  return placedTensors(tree, (tensor, path) => isFloat(tensor.dtype) && isTrainable(tree, path))
}

function isTrainable(tree: object, path: readonly (string | number)[]): boolean {
  let value: unknown = tree
  for (const key of path) {
    if (value instanceof Module && (value.frozen || value.bufferNames().includes(String(key)))) return false
    value = (value as Record<string | number, unknown>)[key]
  }
  return true
}
