export { type ReadTextOptions, readText } from '../data/node-text.ts'
export { mobyDickText } from '../data/stdlib-text.ts'
export { isHuggingFaceFolder, readHuggingFaceGpt, writeHuggingFaceGpt } from './hugging-face-folder.ts'
