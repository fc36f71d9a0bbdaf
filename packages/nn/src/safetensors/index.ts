export { type SafetensorsDtype, safetensorsDtypes, safetensorsItemSize } from './dtypes.ts'
export { SafetensorsError, type SafetensorsErrorCode } from './errors.ts'
export {
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensorInfo,
  safetensorsHeaderLength,
} from './header.ts'
export { parseSafetensors, type SafetensorsFile, type SafetensorsTensor } from './reader.ts'
export { type SafetensorsValues, safetensorsValues } from './values.ts'
export { type SafetensorsInput, type SafetensorsInputs, safetensorsChunks, serializeSafetensors } from './writer.ts'
