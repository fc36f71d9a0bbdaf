import { defaultDevice, init, numpy } from '@jax-js/jax'
import { check, left, right, size } from './operands.js'

globalThis.result = init('wasm')
  .then(() => {
    defaultDevice('wasm')
    return numpy.matmul(numpy.array(left).reshape([size, size]), numpy.array(right).reshape([size, size])).data()
  })
  .then(check)
