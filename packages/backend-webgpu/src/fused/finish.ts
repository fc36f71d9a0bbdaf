import type { FusedBody, OpCall, Operand } from '@tessera/core'
import { scalar, vector } from '../wgsl/formats.ts'
import { positionsOf } from '../wgsl/indexing.ts'
import { type AccessWish, indented, type Shader } from '../wgsl/shader.ts'
import { Evaluator } from './evaluator.ts'
import { type Nest, takeApart } from './nest.ts'

/**
 * What a kernel does with each part of its result: stores it, or computes the call's epilogue from it and stores that. The epilogue must be a
 * map.
 */
export class Finish {
  readonly #nest: Nest

  /**
   * @param result the shape and format of the op's own result
   * @param mayUseQuads whether the kernel can hand over four neighbours along the last axis at a time
   */
  constructor(call: OpCall, mayUseQuads = true) {
    const { epilogue, outputs } = call
    const body = epilogue?.body ?? storing(outputs[0]!)
    const others = epilogue ? call.inputs.slice(epilogue.firstInput) : []
    this.#nest = takeApart(body, [undefined, ...others], outputs, mayUseQuads)
  }

  /** Whether `finish` takes four neighbours along the last axis. */
  get quads(): boolean {
    return this.#nest.quads
  }

  get wishes(): readonly AccessWish[] {
    return this.#nest.wishes
  }

  /**
   * Declares `fn finish(outer: i32, row: i32, column: i32, value)`: flat indices into some neighbouring axes of the result, and into those
   * before and behind them. With quads, `value` is a vector of four neighbours.
   *
   * @param rows first of the axes that `row` is an index into, and the one after the last
   */
  declare(shader: Shader, [rowStart, rowEnd]: readonly [number, number]): void {
    const { body, walks, quads } = this.#nest
    const { domain, instructions } = body
    const number = (value: number): string => shader.number(value)
    const width = quads ? vector : scalar
    const evaluator = new Evaluator(this.#nest, shader, () => quads)
    const places = walks.filter(({ name }) => name !== 'input0')
    const positions = (flat: string, start: number, end: number): string[] => {
      const axes = domain
        .slice(start, end)
        .map((extent, axis) => ({ extent, strides: places.map(({ strides }) => strides[start + axis]!) }))
      return positionsOf(
        flat,
        axes,
        places.map(({ name }) => `${name}_${flat}`),
        number,
      )
    }
    const lines = [
      ...positions('outer', 0, rowStart),
      ...positions('row', rowStart, rowEnd),
      ...positions('column', rowEnd, domain.length),
      ...places.map(({ name }) => `let ${name} = ${name}_outer + ${name}_row + ${name}_column;`),
      'let input0 = value;',
      ...instructions.flatMap((_, i) => evaluator.emit(i)),
      ...this.#nest.outputs.flatMap((_, i) => evaluator.store(i, width)),
    ]
    const type = width.type('f32')
    shader.declare(
      [`fn finish(outer: i32, row: i32, column: i32, value: ${type}) {`, ...indented(lines), '}'].join('\n'),
    )
  }
}

/** The body that stores the result as it is. */
function storing({ dtype, view }: Operand): FusedBody {
  return {
    domain: view.shape,
    kind: 'map',
    rowAxes: 0,
    reducedStart: 0,
    reducedEnd: 0,
    instructions: [{ kind: 'load', input: 0, dtype }],
    stores: [0],
  }
}

/** Whether `Finish` can do what follows a call. */
export const canFinish = ({ epilogue }: OpCall): boolean => !epilogue || epilogue.body.kind === 'map'
