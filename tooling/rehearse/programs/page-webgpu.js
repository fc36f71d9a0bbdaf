import { webgpu } from '@tessera/backend-webgpu'
import { train } from './train.js'

globalThis.result = train([webgpu()])
