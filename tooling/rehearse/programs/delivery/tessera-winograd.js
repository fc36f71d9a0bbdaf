import { wasm } from '@tessera/backend-wasm'
import { createRuntime, tensor } from '@tessera/core'
import { winograd } from '@tessera/kernel-winograd'
import { check, left, right, size } from './operands.js'

globalThis.result = createRuntime({ use: [wasm({ threads: 1 }), winograd()] })
  .then(() =>
    tensor(left, [size, size])
      .matmul(tensor(right, [size, size]))
      .data(),
  )
  .then(check)
