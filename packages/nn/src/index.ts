export { type AverageOptions, ExponentialMovingAverage } from './averaging/exponential-moving-average.ts'
export {
  type Checkpoint,
  type CheckpointMetadata,
  captureCheckpoint,
  type JsonValue,
  restoreCheckpoint,
} from './checkpoints/checkpoint.ts'
export { decodeCheckpoint, encodeCheckpoint } from './checkpoints/encoding.ts'
export { fromSafetensorsDtype, toSafetensorsDtype } from './checkpoints/formats.ts'
export { GradientAccumulator } from './gradients/accumulate.ts'
export { clipByGlobalNorm, globalNorm } from './gradients/clip.ts'
export {
  constantInitializer,
  type Fans,
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  normal,
  onesInitializer,
  orthogonal,
  type ScaledOptions,
  truncatedNormal,
  uniform,
  xavierNormal,
  xavierUniform,
  zerosInitializer,
} from './initializers/initializers.ts'
export { allFinite, LossScale, type LossScaleOptions } from './loss-scaling/loss-scale.ts'
export { scaledGradient } from './loss-scaling/scaled-gradient.ts'
export { type CrossEntropyOptions, crossEntropy } from './losses/cross-entropy.ts'
export { type CtcOptions, ctcLoss } from './losses/ctc.ts'
export { fromLogitLaplace, klDivergence, klToUniform, logitLaplaceLoss, toLogitLaplace } from './losses/divergences.ts'
export { gaussianLoss, poissonLoss } from './losses/likelihood.ts'
export { type HingeOptions, hingeLoss, multiclassHingeLoss, rankingLoss, tripletLoss } from './losses/margins.ts'
export type { Reduction } from './losses/reduction.ts'
export {
  type BinaryCrossEntropyOptions,
  binaryCrossEntropy,
  type HuberOptions,
  huberLoss,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  smoothL1Loss,
} from './losses/regression.ts'
export {
  type ContrastiveOptions,
  type CosineLossOptions,
  contrastiveLoss,
  cosineLoss,
  cosineSimilarity,
  normalizeLength,
  pairwiseDistance,
} from './losses/similarity.ts'
export {
  type AccuracyOptions,
  accuracy,
  type ClassScores,
  classScores,
  confusionMatrix,
  f1Score,
  perplexity,
} from './metrics/classification.ts'
export { Activate, type Activation, activate, PRelu } from './modules/activations.ts'
export {
  type AttentionCallOptions,
  type AttentionLayerOptions,
  type KeyValueCache,
  MultiHeadAttention,
} from './modules/attention.ts'
export {
  BatchNorm,
  type BatchNormOptions,
  type ChannelNormOptions,
  GroupNorm,
  InstanceNorm,
} from './modules/channel-norms.ts'
export {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvolutionLayerOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type TransposedConvolutionLayerOptions,
} from './modules/convolution.ts'
export { Dropout, type DropoutOptions } from './modules/dropout.ts'
export { AlphaDropout, ChannelDropout, DropPath } from './modules/dropout-variants.ts'
export { Embedding, type EmbeddingOptions } from './modules/embedding.ts'
export { GatedMlp, type GatedMlpOptions } from './modules/gated-mlp.ts'
export { LayerNorm, type LayerNormOptions } from './modules/layer-norm.ts'
export { Linear, type LinearOptions } from './modules/linear.ts'
export { Mlp, type MlpOptions } from './modules/mlp.ts'
export { type Layer, Module } from './modules/module.ts'
export { AdaptiveAveragePool, AveragePool, GlobalAveragePool, MaxPool, Upsample } from './modules/pooling.ts'
export { LearnedPositions, type RotaryOptions, RotaryPositions, sinusoidalPositions } from './modules/positions.ts'
export { GruCell, LstmCell, type LstmState, type RecurrentOptions } from './modules/recurrent-cells.ts'
export { Gru, Lstm, type RecurrentLayerOptions, type SequenceResult } from './modules/recurrent-layers.ts'
export { RmsNorm, type RmsNormOptions } from './modules/rms-norm.ts'
export { Sequential } from './modules/sequential.ts'
export { Flatten, Residual } from './modules/structure.ts'
export { Adafactor, type AdafactorOptions } from './optimizers/adafactor.ts'
export { Adam, type AdamOptions, AdamW } from './optimizers/adam.ts'
export { Lion, type LionOptions } from './optimizers/lion.ts'
export { Muon, type MuonOptions, orthogonalize } from './optimizers/muon.ts'
export {
  type DecayRule,
  decayMatrices,
  type LearningRate,
  Optimizer,
  type ParameterState,
  type ParameterUpdate,
  type UpdateOptions,
  type UpdateRule,
} from './optimizers/optimizer.ts'
export { RmsProp, type RmsPropOptions } from './optimizers/rms-prop.ts'
export { Sgd, type SgdOptions } from './optimizers/sgd.ts'
export {
  HalfEmbedding,
  type HalfOptions,
  type QuantizationOptions,
  QuantizedEmbedding,
  QuantizedLinear,
} from './quantization/layers.ts'
export { type ChooseQuantization, quantize, type WeightRounding } from './quantization/quantize.ts'
export { type SafetensorsDtype, safetensorsDtypes, safetensorsItemSize } from './safetensors/dtypes.ts'
export { SafetensorsError, type SafetensorsErrorCode } from './safetensors/errors.ts'
export {
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensorInfo,
  safetensorsHeaderLength,
} from './safetensors/header.ts'
export { parseSafetensors, type SafetensorsFile, type SafetensorsTensor } from './safetensors/reader.ts'
export { type SafetensorsValues, safetensorsValues } from './safetensors/values.ts'
export {
  type SafetensorsInput,
  type SafetensorsInputs,
  safetensorsChunks,
  serializeSafetensors,
} from './safetensors/writer.ts'
export type { Arithmetic } from './schedules/arithmetic.ts'
export {
  type CosineRestartsOptions,
  cosineRestarts,
  exponentialSchedule,
  inverseRootSchedule,
  type OneCycleOptions,
  oneCycle,
  polynomialSchedule,
  stepSchedule,
  type WarmUpStableDecayOptions,
  warmUpStableDecay,
} from './schedules/decays.ts'
export { type PlateauOptions, ReduceOnPlateau } from './schedules/plateau.ts'
export {
  constantSchedule,
  cosineSchedule,
  type DecayOptions,
  defineSchedule,
  linearSchedule,
  type Schedule,
  type ScheduleRule,
  type WarmUpCosineOptions,
  warmUp,
  warmUpCosine,
} from './schedules/schedules.ts'
export { type CheckpointOptions, type CheckpointStore, resumeRun } from './trainer/checkpointing.ts'
export { type EvaluationOptions, evaluate } from './trainer/evaluate.ts'
export type { EvaluationRecord, History, StepRecord } from './trainer/history.ts'
export type { Progress, TrainingObserver } from './trainer/observer.ts'
export { type TrainingResult, type TrainOptions, train } from './trainer/train.ts'
export {
  type BatchLoss,
  evaluationStep,
  type TrainingStep,
  type TrainingStepOptions,
  trainingStep,
} from './trainer/training-step.ts'
