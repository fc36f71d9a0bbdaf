/**
 * Formats and special values. WGSL lets implementations assume that there are no infinities and NaNs, and they do: `x != x` is
 * folded to false, `max(NaN, 0)` gives 0, and neither value can be written as a constant. So NaN is looked for and made by its bits, and
 * 16-bit formats are converted by integer arithmetic.
 */
export const numberFunctions: Readonly<Record<string, string>> = {
  infinity: `var<private> infinityBits: u32 = 0x7f800000u;
fn infinity() -> f32 { return bitcast<f32>(infinityBits); }`,
  quietNan: `var<private> nanBits: u32 = 0x7fc00000u;
fn quietNan() -> f32 { return bitcast<f32>(nanBits); }`,
  isNan: `fn isNan$n(x: $F) -> $B { return (bitcast<$U>(x) & $U(0x7fffffffu)) > $U(0x7f800000u); }`,
  isInfinite: `fn isInfinite$n(x: $F) -> $B { return (bitcast<$U>(x) & $U(0x7fffffffu)) == $U(0x7f800000u); }`,
  signOf: `fn signOf$n(x: $F) -> $F { return select(select(select($F(0.0f), $F(-1.0f), x < $F(0.0f)), $F(1.0f), x > $F(0.0f)), x, isNan$n(x) | (x == $F(0.0f))); }`,
  negated: `fn negated$n(x: $F) -> $F { return bitcast<$F>(bitcast<$U>(x) ^ $U(0x80000000u)); }`,
  withSignOf: `fn withSignOf$n(x: $F, s: $F) -> $F { return bitcast<$F>((bitcast<$U>(x) & $U(0x7fffffffu)) | (bitcast<$U>(s) & $U(0x80000000u))); }`,
  maximumOf: `fn maximumOf$n(a: $F, b: $F) -> $F { return select(max(a, b), $F(quietNan()), isNan$n(a) | isNan$n(b)); }`,
  minimumOf: `fn minimumOf$n(a: $F, b: $F) -> $F { return select(min(a, b), $F(quietNan()), isNan$n(a) | isNan$n(b)); }`,
  toSigned: `fn toSigned$n(x: $F) -> $I {
  let inside = clamp(x, $F(-2147483648.0f), $F(2147483520.0f));
  let above = select($I(inside), $I(2147483647), x >= $F(2147483648.0f));
  return select(above, $I(0), isNan$n(x));
}`,
  toUnsigned: `fn toUnsigned$n(x: $F) -> $U {
  let inside = clamp(x, $F(0.0f), $F(4294967040.0f));
  let above = select($U(inside), $U(0xffffffffu), x >= $F(4294967296.0f));
  return select(above, $U(0u), isNan$n(x));
}`,
  // Each half is exact, so that the sum rounds once; the conversion itself is off by a unit on some adapters.
  fromUnsigned: `fn fromUnsigned$n(x: $U) -> $F { return $F(x >> $U(16u)) * $F(65536.0f) + $F(x & $U(0xffffu)); }`,
  // Integers divide by zero to 0; WGSL would give the dividend.
  quotient: `fn quotient$n(a: $I, b: $I) -> $I { return select(a / select(b, $I(1), b == $I(0)), $I(0), b == $I(0)); }`,
  unsignedQuotient: `fn unsignedQuotient$n(a: $U, b: $U) -> $U { return select(a / max(b, $U(1u)), $U(0u), b == $U(0u)); }`,
  rest: `fn rest$n(a: $I, b: $I) -> $I { return select(a % select(b, $I(1), b == $I(0)), $I(0), b == $I(0)); }`,
  unsignedRest: `fn unsignedRest$n(a: $U, b: $U) -> $U { return select(a % max(b, $U(1u)), $U(0u), b == $U(0u)); }`,
  decodeF16: `fn decodeF16(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let exponent = (bits >> 10u) & 31u;
  let fraction = bits & 1023u;
  let normal = ((exponent + 112u) << 23u) | (fraction << 13u);
  let small = bitcast<u32>(f32(fraction) * 5.9604644775390625e-8f);
  let special = 0x7f800000u | (fraction << 13u);
  return bitcast<f32>(sign | select(select(normal, small, exponent == 0u), special, exponent == 31u));
}`,
  // Rounds to the nearest, ties to even.
  encodeF16: `fn encodeF16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  let normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u;
  // Below 2^-14: the fraction counts units of 2^-24.
  let shift = min(126u - (magnitude >> 23u), 31u);
  let significand = (magnitude & 0x7fffffu) | 0x800000u;
  let kept = significand >> shift;
  let lost = significand & ((1u << shift) - 1u);
  let half = 1u << (shift - 1u);
  let small = kept + select(0u, 1u, (lost > half) | ((lost == half) & ((kept & 1u) == 1u)));
  var result = select(normal, small, magnitude < 0x38800000u);
  result = select(result, 0x7c00u, magnitude >= 0x477ff000u);
  result = select(result, 0x7e00u, magnitude > 0x7f800000u);
  return sign | result;
}`,
  roundF16: `fn roundF16(x: f32) -> f32 { return decodeF16(encodeF16(x)); }`,
  decodeBf16: `fn decodeBf16(bits: u32) -> f32 { return bitcast<f32>(bits << 16u); }`,
  encodeBf16: `fn encodeBf16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let near = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(near, 0x7fc0u, (bits & 0x7fffffffu) > 0x7f800000u);
}`,
  roundBf16: `fn roundBf16(x: f32) -> f32 { return decodeBf16(encodeBf16(x)); }`,
}
