import { tesseraPackage } from '../../tooling/tsup/preset.ts'

export default tesseraPackage({ index: 'src/index.ts', kernel: 'src/kernel.ts', node: 'src/node/index.ts' })
