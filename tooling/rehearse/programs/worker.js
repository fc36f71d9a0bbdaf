import { wasm } from '@tessera/backend-wasm'
import { train } from './train.js'

train([wasm({ threads: 2 })]).then(postMessage, (error) => postMessage({ error: error.stack }))
