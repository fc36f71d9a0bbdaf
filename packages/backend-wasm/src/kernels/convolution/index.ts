export {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
} from './convolution.ts'
