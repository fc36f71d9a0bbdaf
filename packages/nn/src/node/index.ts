export {
  type OpenSafetensorsFile,
  openSafetensorsFile,
  readSafetensorsFile,
  writeSafetensorsFile,
} from '../safetensors/node-files.ts'
export { type CheckpointFile, checkpointFile, loadCheckpoint, saveCheckpoint } from './checkpoint-file.ts'
export { type DownloadHubFileOptions, downloadHubFile } from './hub-folder.ts'
export { abortOnInterrupt, type Interrupt } from './interrupt.ts'
export { type LossCurveOptions, lossCurve, writeLossCurve } from './loss-curve.ts'
export { type TerminalProgressOptions, terminalProgress } from './terminal-progress.ts'
