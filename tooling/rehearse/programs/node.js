import { wasm } from '@tessera/backend-wasm'
import { train } from './train.js'

console.log(JSON.stringify(await train([wasm({ threads: 2 })])))
