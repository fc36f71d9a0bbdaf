import { wasm } from '@tessera/backend-wasm'
import { createRuntime, tensor } from '@tessera/core'
import { check, left, right, size } from './operands.js'

globalThis.result = createRuntime({ use: [wasm({ threads: 1 })] })
  .then(() =>
    tensor(left, [size, size])
      .matmul(tensor(right, [size, size]))
      .data(),
  )
  .then(check)
