/**
 * Elementary functions. Those of WGSL are too coarse, and wrong for special values: tanh(88) is NaN on one adapter, sin(100) is off by
 * 2e-4, exp(NaN) is infinite. Polynomials are minimax fits (Remez) for the relative error on the reduced range. Nothing here relies on the
 * order of additions: compilers regroup them, so reductions of arguments use integers or are chosen to be exact in any order.
 */

/** Σ coefficients[i] · xⁱ by Horner's rule. */
function polynomial(x: string, coefficients: readonly number[]): string {
  const constant = (value: number): string => `$F(${value}f)`
  return coefficients
    .slice(0, -1)
    .reduceRight((sum, value) => `(${sum} * ${x} + ${constant(value)})`, constant(coefficients.at(-1)!))
}

/** 2^n for integers −127 < n ≤ 127, 0 for −127, from an integer expression. */
const powerOfTwo = (n: string): string => `bitcast<$F>((${n} + $I(127)) << $U(23u))`

/** x − n ln 2, the first part of ln 2 having 9 bits. */
const restByLn2 = (x: string): string => `(${x} - n * $F(0.693359375f)) - n * $F(-2.12194440054e-4f)`

const expm1Tail = polynomial(
  'r',
  [0.500000005305, 0.166666669018, 0.0416663270007, 0.00833322018314, 0.00139432078517, 0.000199620613177],
)

/** 1/2π in words of 32 bits after the binary point, one word of zeros before them. */
const perTurn =
  '0u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau, 0xf7aef158u'

export const mathFunctions: Readonly<Record<string, string>> = {
  // Results below 2^-125.5 are 0.
  expOf: `fn expOf$n(x: $F) -> $F {
  let inside = clamp(x, $F(-87.3f), $F(89.0f));
  let n = round(inside * $F(1.44269504f));
  let r = ${restByLn2('inside')};
  // With half the power of two and twice the polynomial, finite results do not overflow on the way.
  let twice = ${polynomial('r', [2, 2, 0.999999869024, 0.333330412418, 0.0833367745816, 0.01673743547314, 0.00276292759554])};
  return select(twice * ${powerOfTwo('$I(n) - $I(1)')}, x, isNan$n(x));
}`,
  expm1Of: `fn expm1Of$n(x: $F) -> $F {
  let inside = clamp(x, $F(-30.0f), $F(88.7228317f));
  let n = round(inside * $F(1.44269504f));
  let r = ${restByLn2('inside')};
  let small = r * r * ${expm1Tail} + r;
  let half = ${powerOfTwo('$I(n) - $I(1)')};
  let sum = half * small + (half - $F(0.5f));
  let result = select(sum + sum, small, n == $F(0.0f));
  let signed = select(result, x, x == $F(0.0f));
  return select(select(signed, $F(infinity()), x > $F(88.7228317f)), x, isNan$n(x));
}`,
  // The logarithm of m · 2^e with f = m − 1 in [√½ − 1, √2 − 1].
  logOfParts: `fn logOfParts$n(f: $F, e: $F) -> $F {
  let square = f * f;
  let cubic = f * square * ${polynomial(
    'f',
    [
      0.3333333169, -0.25000820989, 0.200012267296, -0.166233588945, 0.142017743267, -0.131601891792, 0.127614330861,
      -0.0763427522447,
    ],
  )};
  return e * $F(0.693359375f) + (f + (cubic - $F(0.5f) * square + e * $F(-2.12194440054e-4f)));
}`,
  logSpecial: `fn logSpecial$n(x: $F, result: $F) -> $F {
  let positive = select(result, $F(infinity()), isInfinite$n(x));
  let nonNegative = select(positive, $F(-infinity()), x == $F(0.0f));
  return select(nonNegative, $F(quietNan()), isNan$n(x) | (x < $F(0.0f)));
}`,
  logOf: `fn logOf$n(x: $F) -> $F {
  // Exponents are counted from the bits of √½.
  let steps = (bitcast<$I>(x) - $I(0x3f3504f3)) >> $U(23u);
  let mantissa = bitcast<$F>(bitcast<$I>(x) - (steps << $U(23u)));
  return logSpecial$n(x, logOfParts$n(mantissa - $F(1.0f), $F(steps)));
}`,
  log1pOf: `fn log1pOf$n(x: $F) -> $F {
  let sum = x + $F(1.0f);
  let steps = (bitcast<$I>(sum) - $I(0x3f3504f3)) >> $U(23u);
  let mantissa = bitcast<$F>(bitcast<$I>(sum) - (steps << $U(23u)));
  // Near 0 the sum would lose digits of x, which is its own f.
  let near = (x > $F(-0.29f)) & (x < $F(0.41f));
  let result = logOfParts$n(select(mantissa - $F(1.0f), x, near), select($F(steps), $F(0.0f), near));
  return select(logSpecial$n(sum, result), x, x == $F(0.0f));
}`,
  tanhOf: `fn tanhOf$n(x: $F) -> $F {
  let inside = min(abs(x), $F(10.0f)) * $F(2.0f);
  let n = round(inside * $F(1.44269504f));
  let r = ${restByLn2('inside')};
  let small = r * r * ${expm1Tail} + r;
  let power = ${powerOfTwo('$I(n)')};
  // m / (m + 2) with m = e^(2|x|) − 1
  let m = select(power * small + (power - $F(1.0f)), small, n == $F(0.0f));
  return select(withSignOf$n(m / (m + $F(2.0f)), x), x, isNan$n(x));
}`,
  // x · p(x²) for |x| < 1, beyond that 1 − q(|x|)⁸, where q is a fit of the eighth root of 1 − erf.
  erfOf: `fn erfOf$n(x: $F) -> $F {
  let a = min(abs(x), $F(3.93f));
  let s = a * a;
  let near = x * ${polynomial(
    's',
    [
      1.12837916573, -0.376126258255, 0.112835851638, -0.0268538126149, 0.00518832907421, -0.000801020677247,
      7.85390799719e-5,
    ],
  )};
  let q = ${polynomial(
    'a',
    [
      1.00083476833, -0.145060805962, -0.061426008403, -0.0113738359609, 0.0129259874711, -0.00246976020203,
      0.000149852065549,
    ],
  )};
  let q2 = q * q;
  let q4 = q2 * q2;
  let far = withSignOf$n($F(1.0f) - q4 * q4, x);
  return select(select(far, near, a < $F(1.0f)), x, isNan$n(x));
}`,
  multiplyHigh: `fn multiplyHigh(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u);
}`,
  // x / 2π by integers (Payne and Hanek 1983): the quadrant of x, and the angle from there, for every x.
  quadrantOf: `const perTurn = array<u32, 9>(${perTurn});
fn quadrantOf(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  if (bits < 0x3f490fdbu) { return vec2<f32>(x, 0.0f); }
  let significand = ((bits & 0x7fffffu) << 8u) | 0x80000000u;
  // Digits of 1/2π before this one give whole turns.
  let position = (bits >> 23u) - 126u;
  let word = position >> 5u;
  let shift = position & 31u;
  var table = perTurn;
  let w0 = table[word];
  let w1 = table[word + 1u];
  let w2 = table[word + 2u];
  let w3 = table[word + 3u];
  let back = (32u - shift) & 31u;
  let moves = shift != 0u;
  let high = select(w0, (w0 << shift) | (w1 >> back), moves);
  let middle = select(w1, (w1 << shift) | (w2 >> back), moves);
  let low = select(w2, (w2 << shift) | (w3 >> back), moves);
  // Bits 95 to 32 of significand · (high, middle, low).
  let carried = multiplyHigh(significand, low);
  let second = significand * middle;
  let sum = second + carried;
  let carry = select(0u, 1u, sum < second);
  var upper = significand * high + multiplyHigh(significand, middle) + carry;
  var quadrant = upper >> 30u;
  // The fraction of a quadrant in 62 bits, taken to the nearest quadrant.
  upper = upper & 0x3fffffffu;
  var negative = false;
  var lower = sum;
  if ((upper & 0x20000000u) != 0u) {
    quadrant = quadrant + 1u;
    negative = true;
    lower = ~sum + 1u;
    upper = (~upper & 0x3fffffffu) + select(0u, 1u, lower == 0u);
  }
  let fraction = f32(upper) * 9.31322574615478515625e-10f + f32(lower) * 2.16840434497100886801e-19f;
  let radians = fraction * 1.57079632679f;
  let rest = select(radians, -radians, negative != (x < 0.0f));
  return vec2<f32>(rest, f32(select(quadrant, 4u - (quadrant & 3u), x < 0.0f) & 3u));
}`,
  sineOfQuadrant: `fn sineOfQuadrant(rest: f32, quadrant: u32) -> f32 {
  let square = rest * rest;
  let sine = rest * square * ${polynomial('square', [-0.16666654461, 0.00833215117678, -0.000195139581824])} + rest;
  let cosine = square * ${polynomial('square', [-0.5, 0.0416666454205, -0.00138873032323, 2.4431642181e-5])} + 1.0f;
  let value = select(sine, cosine, (quadrant & 1u) == 1u);
  return select(value, -value, (quadrant & 2u) == 2u);
}`.replaceAll('$F', 'f32'),
  sinOf: `fn sinOf(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u) { return quietNan(); }
  let reduced = quadrantOf(x);
  return sineOfQuadrant(reduced.x, u32(reduced.y));
}`,
  cosOf: `fn cosOf(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u) { return quietNan(); }
  let reduced = quadrantOf(x);
  return sineOfQuadrant(reduced.x, u32(reduced.y) + 1u);
}`,
  // IEEE 754 pow; |result| from 2^(exponent · log2 |base|), the integer part of the logarithm apart.
  powerOf: `fn powerOf(base: f32, exponent: f32) -> f32 {
  if (base == 1.0f || exponent == 0.0f) { return 1.0f; }
  if (isNan(base) || isNan(exponent)) { return quietNan(); }
  let magnitude = abs(base);
  let isInteger = floor(exponent) == exponent;
  let isOdd = isInteger && abs(exponent) < 16777216.0f && (i32(clamp(exponent, -16777216.0f, 16777216.0f)) & 1) == 1;
  var result: f32;
  if (magnitude == 1.0f) {
    result = 1.0f;
  } else if (magnitude == 0.0f || isInfinite(magnitude)) {
    result = select(0.0f, infinity(), isInfinite(magnitude) != (exponent < 0.0f));
  } else if (isInfinite(exponent)) {
    result = select(0.0f, infinity(), (magnitude > 1.0f) == (exponent > 0.0f));
  } else {
    let steps = (bitcast<i32>(magnitude) - 0x3f3504f3) >> 23u;
    let mantissa = bitcast<f32>(bitcast<i32>(magnitude) - (steps << 23u));
    let small = clamp(exponent, -1e5f, 1e5f) * (logOfParts(mantissa - 1.0f, 0.0f) * 1.44269504f);
    let large = clamp(exponent, -1e5f, 1e5f) * f32(steps);
    let whole = round(large);
    let n = clamp(whole, -400.0f, 400.0f);
    let fraction = clamp((large - whole) + small, -400.0f, 400.0f);
    let more = round(fraction);
    let total = clamp(n + more, -252.0f, 252.0f);
    let first = floor(total * 0.5f);
    let r = (fraction - more) * 0.69314718056f;
    let scale = vec2<f32>(first, total - first);
    let powers = bitcast<vec2<f32>>((vec2<i32>(scale) + vec2<i32>(127)) << vec2<u32>(23u));
    result = (${polynomial('r', [1, 1, 0.499999934512, 0.166665206209, 0.0416683872908, 0.00836871773657, 0.00138146379777]).replaceAll('$F', 'f32')} * powers.x) * powers.y;
  }
  if (base < 0.0f && !isInteger && !isInfinite(base)) { return quietNan(); }
  let signed = isOdd && (bitcast<u32>(base) >> 31u) == 1u;
  return select(result, -result, signed);
}`,
  // The exact rest of a division, by long division of the significands (8 binary digits at a time).
  remainderOf: `fn remainderOf(a: f32, b: f32) -> f32 {
  let x = bitcast<u32>(a) & 0x7fffffffu;
  let y = bitcast<u32>(b) & 0x7fffffffu;
  if (x >= 0x7f800000u || y > 0x7f800000u || y == 0u) { return quietNan(); }
  if (x < y) { return a; }
  let divisor = select(y & 0x7fffffu, (y & 0x7fffffu) | 0x800000u, y >= 0x800000u);
  let lowest = max(y >> 23u, 1u);
  var left = select(x & 0x7fffffu, (x & 0x7fffffu) | 0x800000u, x >= 0x800000u);
  left = left % divisor;
  var steps = max(x >> 23u, 1u) - lowest;
  loop {
    if (steps == 0u) { break; }
    let step = min(steps, 8u);
    left = (left << step) % divisor;
    steps = steps - step;
  }
  // Back to a float whose exponent is that of the divisor, or smaller.
  var exponent = lowest;
  if (left == 0u) { return bitcast<f32>(bitcast<u32>(a) & 0x80000000u); }
  let lift = min(countLeadingZeros(left) - 8u, exponent - 1u);
  left = left << lift;
  exponent = select(exponent - lift, 0u, left < 0x800000u);
  return bitcast<f32>((bitcast<u32>(a) & 0x80000000u) | (exponent << 23u) | (left & 0x7fffffu));
}`,
}
