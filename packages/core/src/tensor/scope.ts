import { topologicalOrder } from '../graph/node.ts'
import { openStorageScope, storagesOf } from '../run/storage.ts'
import type { Tensor } from './tensor.ts'
import { tensorsIn } from './tree.ts'

/** What a scope made, for `keep`. */
export interface Scope {
  /** Lets a tensor (or the tensors in an object) outlive the scope. Gives it back. */
  keep<Tree>(tree: Tree): Tree
}

/**
 * Runs a function and then frees the memory of every tensor that it made, except those in what it returns and those kept.
 * Waits for an `async` function. Of two `async` scopes that run at the same time, each may free what the other made: nest
 * them, or run one after the other.
 *
 * @example
 * ```ts
 * import { scope, tensor } from '@tessera/core'
 * const total = await scope(async () => tensor([1, 2, 3]).exp().sum().item())
 * console.log(total)
 * ```
 */
export function scope<Result>(body: (scope: Scope) => Result): Result {
  const close = openStorageScope()
  const kept: Tensor[] = []
  const keep = <Tree>(tree: Tree): Tree => {
    kept.push(...tensorsIn(tree))
    return tree
  }
  // What a kept tensor is yet to be computed from stays as well.
  const end = (): void =>
    close(
      new Set(
        topologicalOrder(kept.map((tensor) => tensor.node)).flatMap((node) =>
          node.op === 'leaf' ? storagesOf(node) : [],
        ),
      ),
    )
  let result: Result
  try {
    result = body({ keep })
  } catch (error) {
    end()
    throw error
  }
  if (result instanceof Promise) return result.then(keep).finally(end) as Result
  keep(result)
  end()
  return result
}
