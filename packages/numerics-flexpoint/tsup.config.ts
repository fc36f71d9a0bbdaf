import { tesseraPackage } from '../../tooling/tsup/preset.ts'

export default tesseraPackage({ index: 'src/index.ts', wasm: 'src/wasm/index.ts' })
