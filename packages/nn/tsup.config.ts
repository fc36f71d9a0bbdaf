import { tesseraPackage } from '../../tooling/tsup/preset.ts'

export default tesseraPackage({ index: 'src/index.ts', data: 'src/data/index.ts', node: 'src/node/index.ts' })
