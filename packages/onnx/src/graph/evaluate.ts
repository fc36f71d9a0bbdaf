import { OnnxError } from '../errors.ts'
import type { GraphProto, TensorProto } from '../format/schema.ts'
import { type Constant, type ExternalData, readTensor } from '../format/tensor.ts'
import { Call, type Operator } from './call.ts'
import { toValue, type Value } from './value.ts'

/** What evaluating a graph needs beside its inputs. */
export interface Environment {
  readonly opset: number
  readonly operators: Readonly<Record<string, Operator>>
  readonly externalData: ExternalData | undefined
}

/** The key of an operator: its name, with its domain in front unless that is ONNX's own. */
export function operatorKey({ domain, opType }: { domain: string; opType: string }): string {
  return domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`
}

/**
 * Records a graph, whose nodes stand in an order in which every value comes before it is used.
 *
 * @param known inputs, weights, and the values of graphs around this one
 * @returns the outputs in order
 */
export function evaluateGraph(graph: GraphProto, known: ReadonlyMap<string, Value>, environment: Environment): Value[] {
  const values = new Map(known)
  const tensorOf = (proto: TensorProto): Constant => readTensor(proto, environment.externalData)
  const scope = {
    opset: environment.opset,
    tensorOf,
    evaluate: (inner: GraphProto) => {
      const constants = inner.initializer.map((proto) => [proto.name, toValue(tensorOf(proto))] as const)
      return evaluateGraph(inner, new Map([...values, ...constants]), environment)
    },
  }
  const find = (name: string, user: string): Value => {
    const value = values.get(name)
    if (value) return value
    throw new OnnxError('ONNX_FILE', `${user} uses ${JSON.stringify(name)}, which no node before it gives.`)
  }
  for (const node of graph.node) {
    const inputs = node.input.map((name) => (name === '' ? undefined : find(name, node.opType)))
    const operator = environment.operators[operatorKey(node)]!
    const result = operator(new Call(node, inputs, scope))
    const results = Array.isArray(result) ? result : [result]
    node.output.forEach((name, i) => {
      if (name !== '' && results[i] !== undefined) values.set(name, toValue(results[i]))
    })
  }
  return graph.output.map(({ name }) => find(name, 'The graph'))
}
