export { DataError, type DataErrorCode } from './data-error.ts'
export { splitText, type TextSplit } from './split.ts'
export {
  type TextDatasetsOptions,
  type TokenBatch,
  TokenDataset,
  type TokenDatasetOptions,
  type TokenIds,
  textDatasets,
} from './token-dataset.ts'
