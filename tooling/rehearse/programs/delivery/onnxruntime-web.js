import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import { check, left, right, size } from './operands.js'

/** A graph of one MatMul of two 256 × 256 matrices, a and b, into c. */
const model =
  'CAg6YwoRCgFhCgFiEgFjIgZNYXRNdWwSCWJlbmNobWFya1oVCgFhEhAKDggBEgoKAwiAAgoDCIACWhUKAWISEAoOCAESCgoDCIACCgMIgAJiFQoBYxIQCg4IARIKCgMIgAIKAwiAAkIECgAQEQ=='
env.wasm.numThreads = 1
env.wasm.wasmPaths = { wasm: '/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm' }
globalThis.result = InferenceSession.create(Uint8Array.from(atob(model), (character) => character.charCodeAt(0)))
  .then((session) =>
    session.run({ a: new Tensor('float32', left, [size, size]), b: new Tensor('float32', right, [size, size]) }),
  )
  .then(({ c }) => check(c.data))
