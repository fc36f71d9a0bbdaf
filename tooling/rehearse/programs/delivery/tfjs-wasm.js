import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { check, left, right, size } from './operands.js'

setWasmPaths('/node_modules/@tensorflow/tfjs-backend-wasm/dist/')
globalThis.result = tf
  .setBackend('wasm')
  .then(() => tf.matMul(tf.tensor2d(left, [size, size]), tf.tensor2d(right, [size, size])).data())
  .then(check)
