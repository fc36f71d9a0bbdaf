/**
 * What NumPy's array functions and `torch.nn.functional` have and Tessera has not under any name: what to write instead, or why it is not there. What
 * has a counterpart, under whatever name, is not listed.
 */
interface Absent {
  readonly names: string
  readonly instead: string
}

const needsValues = 'the shape of the result depends on values, which programs do not know'

const numpy: readonly Absent[] = [
  {
    names: 'angle conj real imag iscomplex',
    instead: 'no complex formats; Fourier transforms take and give pairs of tensors',
  },
  { names: 'append insert delete', instead: '`concatenate` and `slice`' },
  { names: 'apply_along_axis apply_over_axes vectorize', instead: '`vmap`' },
  { names: 'argpartition partition', instead: '`topK`, `sort`' },
  { names: 'argwhere flatnonzero', instead: '`nonZero`, with a stated size' },
  { names: 'array_split', instead: '`split` with extents, `chunk`' },
  { names: 'average', instead: '`x.multiply(w).sum(axis).divide(w.sum(axis))`' },
  { names: 'bartlett blackman hamming hanning kaiser', instead: 'windows are short formulas over `range`' },
  { names: 'block hstack vstack dstack column_stack', instead: '`concatenate`, `stack`' },
  { names: 'choose select piecewise', instead: '`where`, `takeAlongAxis`' },
  { names: 'compress extract', instead: `\`nonZero\` with a stated size, then \`gather\`: ${needsValues}` },
  { names: 'convolve correlate', instead: '`conv1d`' },
  { names: 'cumulative_sum with include_initial', instead: '`concatenate` with zeros' },
  { names: 'deg2rad rad2deg', instead: '`multiply`' },
  { names: 'digitize', instead: '`searchSorted`' },
  { names: 'divmod', instead: '`floorDivide` and `modulo`' },
  { names: 'ediff1d gradient', instead: '`difference`' },
  { names: 'fft2 fftn rfft2 rfftn', instead: '`fourierTransform` along one axis after the other' },
  { names: 'fftfreq fftshift', instead: '`range`, `roll`' },
  { names: 'fill_diagonal diag_indices tril_indices', instead: '`where` with `eye` or `triangle`' },
  { names: 'fmax fmin', instead: '`where(a.isNaN(), b, a.maximum(b))`' },
  {
    names: 'frexp ldexp modf nextafter spacing',
    instead: 'bits are read by `bitcast`; `fraction` and `truncate` give both parts',
  },
  { names: 'gcd lcm', instead: 'loops that depend on values: `whileLoop`' },
  { names: 'geomspace logspace', instead: '`linspace`, then `exp`' },
  { names: 'heaviside signbit', instead: '`where`, `less`; `copySign` tells −0' },
  { names: 'histogram2d histogramdd', instead: '`histogram` of joint bin numbers' },
  { names: 'i0', instead: 'Bessel functions are used by nothing that Tessera is for' },
  { names: 'intersect1d setdiff1d setxor1d union1d', instead: `\`isIn\`, \`unique\`: ${needsValues}` },
  { names: 'ix_ ogrid mgrid indices', instead: '`meshGrid`, `range`' },
  { names: 'lexsort', instead: '`argSort` by the last key first: it is stable' },
  { names: 'linalg.cond matrix_rank', instead: 'ratio and count of the singular values of `svd`' },
  { names: 'linalg.eig eigvals', instead: 'complex results' },
  { names: 'linalg.eigh eigvalsh', instead: '`svd` for positive semi-definite matrices; others are not there yet' },
  { names: 'linalg.multi_dot', instead: '`matmul`, `einsum`' },
  {
    names: 'linalg.norm of matrices',
    instead: '`norm` is Frobenius’s; nuclear and spectral norms are sum and maximum of `svd(x).s`',
  },
  { names: 'logaddexp2', instead: '`logAddExp` in units of log 2' },
  { names: 'nancumsum nancumprod nanmedian nanquantile nanargmax', instead: '`where(x.isNaN(), …, x)` before the op' },
  { names: 'nanstd', instead: '`nanVariance(x).sqrt()`' },
  { names: 'nan_to_num', instead: '`replaceNonFinite`, or `where`' },
  { names: 'packbits unpackbits', instead: '`shiftRight`, `and`' },
  { names: 'percentile', instead: '`quantile`' },
  { names: 'place put putmask copyto', instead: '`where`, `putAlongAxis`, `updateAt`: tensors do not change' },
  { names: 'poly1d polyfit polyval roots', instead: 'Horner’s rule; `leastSquares` on powers' },
  { names: 'ptp', instead: '`x.max(axis).subtract(x.min(axis))`' },
  { names: 'resize (repeating)', instead: '`tile` and `slice`' },
  { names: 'tensordot inner vdot', instead: '`einsum`' },
  { names: 'trim_zeros', instead: needsValues },
  { names: 'unravel_index ravel_multi_index', instead: '`floorDivide` and `modulo` by strides' },
  { names: 'unwrap', instead: '`difference`, `modulo`, `cumulativeSum`' },
  { names: 'vander', instead: '`power`' },
]

const torch: readonly Absent[] = [
  { names: 'bilinear', instead: '`einsum`' },
  { names: 'cdist pdist', instead: '`pairwiseDistance` of broadcast vectors' },
  { names: 'embedding_bag', instead: '`weight.gather(indices).mean(-2)`; bags of different sizes by `scatterAdd`' },
  { names: 'fractional_max_pool', instead: 'random windows; used by nothing that Tessera is for' },
  { names: 'grid_sample of volumes, bicubic', instead: '`gridSample` takes images, linear or nearest' },
  { names: 'hinge_embedding_loss', instead: '`where(y.greater(0), x, x.negate().add(margin).maximum(0))`' },
  { names: 'interpolate, bicubic and area', instead: '`resize` is nearest or linear; area is `adaptiveAveragePool2d`' },
  { names: 'local_response_norm', instead: 'superseded by other norms; `averagePool3d` over channels gives it' },
  { names: 'lp_pool', instead: '`x.power(p)`, `averagePool2d`, `power(1 / p)`' },
  { names: 'max_unpool', instead: '`scatterSet` at positions that `unfold` and `argMax` give' },
  {
    names: 'multilabel_margin_loss multilabel_soft_margin_loss',
    instead: '`binaryCrossEntropy` of logits, a mean over classes',
  },
  { names: 'nll_loss', instead: '`takeAlongAxis` of log-probabilities; `crossEntropy` takes logits' },
  { names: 'rrelu', instead: '`where` with `randomUniform`' },
  { names: 'soft_margin_loss', instead: '`softplus(y.multiply(x).negate()).mean()`' },
]

const named = (text: string): string[] => [...text.matchAll(/`(\w+)(?:`|\()/g)].map((match) => match[1]!)

/** The section of the page. Every function that it points to has to be there. */
export function absentFunctions(): string[] {
  const table = (title: string, rows: readonly Absent[]) => [
    `| ${title} | instead, or why not |`,
    '|---|---|',
    ...rows.map(({ names, instead }) => `| ${names} | ${instead} |`),
    '',
  ]
  return [
    '## Not there',
    '',
    'What NumPy’s array functions and `torch.nn.functional` have and Tessera has not under any name. Losses and layers are those of `@tessera/nn`.',
    '',
    ...table('NumPy', numpy),
    ...table('`torch.nn.functional`', torch),
  ]
}

/** Functions that the section names and neither package offers. */
export function danglingNames(offered: ReadonlySet<string>): string[] {
  return [...numpy, ...torch]
    .flatMap(({ instead }) => named(instead))
    .filter((name) => !offered.has(name) && name.length > 1)
    .map((name) => `coverage-absent.ts: names ${name}, which is not offered`)
}
