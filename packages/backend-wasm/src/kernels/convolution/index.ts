export {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
} from './convolution.ts'
export {
  depthwiseConvolutionBackwardFilterKernel,
  depthwiseConvolutionBackwardInputKernel,
  depthwiseConvolutionKernel,
} from './depthwise-kernels.ts'
