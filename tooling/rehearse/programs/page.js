import { wasm } from '@tessera/backend-wasm'
import { train } from './train.js'

globalThis.result = train([wasm({ threads: 2 })])
