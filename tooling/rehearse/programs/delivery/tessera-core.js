import { tensor } from '@tessera/core'
import { check, left, right, size } from './operands.js'

globalThis.result = tensor(left, [size, size])
  .matmul(tensor(right, [size, size]))
  .data()
  .then(check)
