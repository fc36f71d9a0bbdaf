import { tesseraPackage } from '../../tooling/tsup/preset.ts'

export default tesseraPackage({
  index: 'src/index.ts',
  data: 'src/data/index.ts',
  hub: 'src/hub/index.ts',
  interop: 'src/interop/index.ts',
  node: 'src/node/index.ts',
})
