import {
  attention,
  averagePool1d,
  averagePool2d,
  averagePool3d,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  einsum,
  layerNorm,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  range,
  resize,
  sizeOf,
  type Tensor,
  where,
} from '@tessera/core'
import type { Call, Operator } from '../graph/call.ts'

type Sides = [low: number, high: number]

/** The op for as many spatial axes as `[batch, channels, ...spatial]` has. */
function byRank<Op>(call: Call, ops: readonly [Op, Op, Op]): Op {
  const { rank } = call.tensor(0)
  return ops[rank - 3] ?? call.unsupported(`an input with ${rank - 2} spatial axes`)
}

interface Windows {
  readonly window: number[]
  readonly stride: number[]
  readonly dilation: number[]
  readonly padding: Sides[]
}

/** Attributes of windows that move over space, with `auto_pad` worked out. */
function windowsOf(call: Call, window: readonly number[]): Windows {
  const spatial = call.tensor(0).shape.slice(2)
  const stride = call.integers('strides') ?? spatial.map(() => 1)
  const dilation = call.integers('dilations') ?? spatial.map(() => 1)
  const pads = call.integers('pads') ?? new Array<number>(2 * spatial.length).fill(0)
  const automatic = call.text('auto_pad', 'NOTSET')
  const padding = spatial.map((extent, i): Sides => {
    if (automatic === 'VALID') return [0, 0]
    if (automatic === 'NOTSET') return [pads[i]!, pads[i + spatial.length]!]
    const reach = dilation[i]! * (window[i]! - 1) + 1
    const total = Math.max(0, (Math.ceil(extent / stride[i]!) - 1) * stride[i]! + reach - extent)
    const [small, large] = [Math.floor(total / 2), Math.ceil(total / 2)]
    return automatic === 'SAME_LOWER' ? [large, small] : [small, large]
  })
  return { window: [...window], stride, dilation, padding }
}

const conv: Operator = (call) => {
  const [x, filter, bias] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)]
  const { stride, dilation, padding } = windowsOf(call, filter.shape.slice(2))
  const groups = call.integer('group', 1)
  return byRank(call, [conv1d, conv2d, conv3d])(x, filter, { stride, dilation, padding, groups, ...(bias && { bias }) })
}

const convTranspose: Operator = (call) => {
  const [x, filter, bias] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)]
  const spatial = x.shape.slice(2)
  const { stride, dilation, padding: given } = windowsOf(call, filter.shape.slice(2))
  const outputPadding = call.integers('output_padding') ?? spatial.map(() => 0)
  const wanted = call.integers('output_shape')
  const automatic = call.text('auto_pad', 'NOTSET')
  const padding = spatial.map((extent, i): Sides => {
    const target = wanted?.[i] ?? (automatic.startsWith('SAME') ? extent * stride[i]! : undefined)
    if (target === undefined) return given[i]!
    const reach = dilation[i]! * (filter.shape[i + 2]! - 1) + 1
    const total = stride[i]! * (extent - 1) + outputPadding[i]! + reach - target
    const [small, large] = [Math.floor(total / 2), Math.ceil(total / 2)]
    // A result that is larger than the windows reach has zeros, and the bias, at its end.
    if (total < 0) outputPadding[i] = outputPadding[i]! - total
    if (total < 0) return [0, 0]
    return automatic === 'SAME_UPPER' ? [small, large] : [large, small]
  })
  const options = { stride, dilation, padding, outputPadding, groups: call.integer('group', 1), ...(bias && { bias }) }
  return byRank(call, [convTranspose1d, convTranspose2d, convTranspose3d])(x, filter, options)
}

const maxPool: Operator = (call) => {
  if (call.node.output.length > 1 && call.node.output[1] !== '') call.unsupported('the output of positions')
  const { window, stride, dilation, padding } = windowsOf(call, call.integers('kernel_shape') ?? [])
  const options = { stride, dilation, padding, ceil: call.integer('ceil_mode', 0) === 1 }
  return byRank(call, [maxPool1d, maxPool2d, maxPool3d])(call.tensor(0), window, options)
}

const averagePool: Operator = (call) => {
  const { window, stride, dilation, padding } = windowsOf(call, call.integers('kernel_shape') ?? [])
  if (dilation.some((step) => step !== 1)) call.unsupported('a dilated average')
  const countPadding = call.integer('count_include_pad', 0) === 1
  const options = { stride, padding, ceil: call.integer('ceil_mode', 0) === 1, countPadding }
  return byRank(call, [averagePool1d, averagePool2d, averagePool3d])(call.tensor(0), window, options)
}

/** All spatial axes. */
const space = (x: Tensor) => x.shape.slice(2).map((_, i) => i + 2)

/** `[channels]` along axis 1. */
function perChannel(vector: Tensor, { rank }: Tensor): Tensor {
  return vector.reshape([-1, ...new Array<number>(rank - 2).fill(1)])
}

const batchNormalization: Operator = (call) => {
  if (call.integer('training_mode', 0) === 1) call.unsupported('training_mode')
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => call.tensor(i)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ]
  const factor = scale.divide(variance.add(call.float('epsilon', 1e-5)).sqrt())
  return x.multiply(perChannel(factor, x)).add(perChannel(bias.subtract(mean.multiply(factor)), x))
}

/** Standardises rows of `[batch, groups, elements]`, then scales and shifts channels. */
function groupNormalization(x: Tensor, groups: number, scale: Tensor, bias: Tensor, epsilon: number): Tensor {
  const rows = layerNorm(x.reshape([x.shape[0]!, groups, -1]), undefined, undefined, epsilon).reshape(x.shape)
  return rows.multiply(perChannel(scale, x)).add(perChannel(bias, x))
}

const layerNormalization: Operator = (call) => {
  const [x, scale, bias] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)]
  if (call.node.output.slice(1).some((name) => name !== '')) call.unsupported('the outputs of mean and deviation')
  const given = call.integer('axis', -1)
  const axis = given < 0 ? given + x.rank : given
  const epsilon = call.float('epsilon', 1e-5)
  const width = sizeOf(x.shape.slice(axis))
  if (axis === x.rank - 1 && scale.rank === 1 && scale.shape[0] === width && bias?.rank === 1)
    return layerNorm(x, scale, bias, epsilon)
  const rows = layerNorm(x.reshape([...x.shape.slice(0, axis), width]), undefined, undefined, epsilon)
    .reshape(x.shape)
    .multiply(scale)
  return bias ? rows.add(bias) : rows
}

/** Before opset 13, all axes from `axis` on count as one. */
const softmax =
  (apply: (x: Tensor, axis: number) => Tensor): Operator =>
  (call) => {
    const x = call.tensor(0)
    if (call.opset >= 13) return apply(x, call.integer('axis', -1))
    const given = call.integer('axis', 1)
    const axis = given < 0 ? given + x.rank : given
    return apply(x.reshape([sizeOf(x.shape.slice(0, axis)), -1]), -1).reshape(x.shape)
  }

const gemm: Operator = (call) => {
  const transposed = (x: Tensor, name: string) => (call.integer(name, 0) === 1 ? x.transpose() : x)
  const scaled = (x: Tensor, name: string) => (call.float(name, 1) === 1 ? x : x.multiply(call.float(name, 1)))
  const product = scaled(transposed(call.tensor(0), 'transA').matmul(transposed(call.tensor(1), 'transB')), 'alpha')
  return call.has(2) ? product.add(scaled(call.tensor(2), 'beta')) : product
}

const resizeOperator: Operator = (call) => {
  const x = call.tensor(0)
  const isUpsample = call.node.opType === 'Upsample'
  const scalesAt = isUpsample || call.opset < 11 ? 1 : 2
  const sizes = isUpsample || call.opset < 11 ? undefined : call.optionalNumbers(3, 'sizes')
  const scales = sizes?.length ? undefined : (call.floats('scales') ?? call.numbers(scalesAt, 'scales'))
  if (call.hasAttribute('axes')) call.unsupported('axes')
  const wanted = sizes?.length ? sizes : x.shape.map((extent, i) => Math.floor(extent * scales![i]!))
  if (wanted[0] !== x.shape[0] || wanted[1] !== x.shape[1]) call.unsupported('another batch or number of channels')
  const mode = call.text('mode', 'nearest')
  const coordinates =
    isUpsample || call.opset < 11 ? 'asymmetric' : call.text('coordinate_transformation_mode', 'half_pixel')
  const extents = wanted.slice(2)
  const isWhole = extents.every((extent, i) => extent % x.shape[i + 2]! === 0)
  if (mode === 'nearest') {
    const rounding = isUpsample || call.opset < 11 ? 'floor' : call.text('nearest_mode', 'round_prefer_floor')
    const isFloor = coordinates === 'asymmetric' && rounding === 'floor'
    const isRepeat = isWhole && coordinates === 'half_pixel' && rounding.startsWith('round')
    if (!isFloor && !isRepeat)
      call.unsupported(`nearest with ${coordinates} and ${rounding} to [${extents.join(', ')}]`)
    return resize(x, extents)
  }
  const isExact = extents.every((extent, i) => !scales || extent === x.shape[i + 2]! * scales[i + 2]!)
  if (mode !== 'linear' || !isExact || !['half_pixel', 'pytorch_half_pixel', 'align_corners'].includes(coordinates)) {
    call.unsupported(`mode ${mode} with ${coordinates} to [${extents.join(', ')}]`)
  }
  return resize(x, extents, { mode: 'linear', alignCorners: coordinates === 'align_corners' })
}

/** The Attention operator of opset 23, without a cache. */
const attentionOperator: Operator = (call) => {
  if (call.node.output.slice(1).some((name) => name !== '') || call.has(4) || call.has(5))
    call.unsupported('a cache, or the output of scores')
  if (call.float('softcap', 0) !== 0) call.unsupported('softcap')
  const heads = (x: Tensor, name: string): Tensor => {
    if (x.rank === 4) return x
    const count = call.integer(name, 1)
    return x.reshape([x.shape[0]!, x.shape[1]!, count, -1]).transpose([0, 2, 1, 3])
  }
  const query = heads(call.tensor(0), 'q_num_heads')
  const repeated = (x: Tensor): Tensor => {
    const times = query.shape[1]! / x.shape[1]!
    const [batch, count, ...rest] = x.shape as [number, number, number, number]
    return times === 1
      ? x
      : x
          .unsqueeze(2)
          .expand([batch, count, times, ...rest])
          .reshape([batch, count * times, ...rest])
  }
  const [keys, values] = [
    repeated(heads(call.tensor(1), 'kv_num_heads')),
    repeated(heads(call.tensor(2), 'kv_num_heads')),
  ]
  const causal = call.integer('is_causal', 0) === 1
  const scale = call.float('scale', 1 / Math.sqrt(query.shape.at(-1)!))
  const [time, keyTime] = [query.shape[2]!, keys.shape[2]!]
  const mask = call.optionalTensor(3)
  // With fewer queries than keys, ONNX lets them begin with the keys.
  const mixed =
    !mask && (!causal || time === keyTime)
      ? attention(query, keys, values, { causal, scale })
      : masked(query.matmul(keys.transpose()).multiply(scale), mask, causal).softmax().matmul(values)
  return call.tensor(0).rank === 4 ? mixed : mixed.transpose([0, 2, 1, 3]).reshape([mixed.shape[0]!, time, -1])
}

function masked(scores: Tensor, mask: Tensor | undefined, causal: boolean): Tensor {
  const [time, keyTime] = scores.shape.slice(-2) as [number, number]
  const added = !mask
    ? scores
    : mask.dtype === 'bool'
      ? where(mask, scores, Number.NEGATIVE_INFINITY)
      : scores.add(mask)
  return causal ? where(range(keyTime).lessEqual(range(time).unsqueeze(1)), added, Number.NEGATIVE_INFINITY) : added
}

/** Operators of layers, by their names in ONNX. */
export const network: Readonly<Record<string, Operator>> = {
  Attention: attentionOperator,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Conv: conv,
  ConvTranspose: convTranspose,
  Einsum: (call) => einsum(call.text('equation', ''), ...call.inputs.map((_, i) => call.tensor(i))),
  Gemm: gemm,
  GlobalAveragePool: (call) => call.tensor(0).mean(space(call.tensor(0)), { keepDims: true }),
  GlobalMaxPool: (call) => call.tensor(0).max(space(call.tensor(0)), { keepDims: true }),
  GroupNormalization: (call) => {
    const [x, scale, bias] = [call.tensor(0), call.tensor(1), call.tensor(2)]
    const groups = call.integer('num_groups', 1)
    // Before opset 21 there is one scale for each group.
    const perGroup = (vector: Tensor) =>
      call.opset >= 21
        ? vector
        : vector
            .unsqueeze(1)
            .expand([groups, x.shape[1]! / groups])
            .reshape([x.shape[1]!])
    return groupNormalization(x, groups, perGroup(scale), perGroup(bias), call.float('epsilon', 1e-5))
  },
  InstanceNormalization: (call) => {
    const x = call.tensor(0)
    return groupNormalization(x, x.shape[1]!, call.tensor(1), call.tensor(2), call.float('epsilon', 1e-5))
  },
  LayerNormalization: layerNormalization,
  LogSoftmax: softmax((x, axis) => x.logSoftmax(axis)),
  LpNormalization: (call) => {
    const x = call.tensor(0)
    const axis = call.integer('axis', -1)
    const isEuclidean = call.integer('p', 2) === 2
    return x.divide(
      isEuclidean ? x.square().sum(axis, { keepDims: true }).sqrt() : x.abs().sum(axis, { keepDims: true }),
    )
  },
  MatMul: (call) => call.tensor(0).matmul(call.tensor(1)),
  MaxPool: maxPool,
  RMSNormalization: (call) => {
    const x = call.tensor(0)
    const given = call.integer('axis', -1)
    const first = given < 0 ? given + x.rank : given
    const axes = x.shape.flatMap((_, axis) => (axis >= first ? [axis] : []))
    const meanSquare = x.square().mean(axes, { keepDims: true })
    return x.divide(meanSquare.add(call.float('epsilon', 1e-5)).sqrt()).multiply(call.tensor(1))
  },
  Resize: resizeOperator,
  Softmax: softmax((x, axis) => x.softmax(axis)),
  Upsample: resizeOperator,
}
