/**
 * Memory: eight lanes of one factor, eight of the other, then the accumulators as they were after the last round.
 * With two adjacent vectors of each factor the revectoriser can pair the accumulators.
 */
export function fmaText(accumulators: number, vectors: 1 | 2): string {
  const lines = (line: (index: number) => string): string =>
    Array.from({ length: accumulators }, (_, i) => line(i)).join('\n')
  return `(module
    (memory (export "memory") 1)
    (func (export "run") (param $rounds i32)
      (local $left0 v128) (local $left1 v128) (local $right0 v128) (local $right1 v128)
      ${lines((i) => `(local $sum${i} v128)`)}
      (local.set $left0 (v128.load offset=0 (i32.const 0)))
      (local.set $left1 (v128.load offset=16 (i32.const 0)))
      (local.set $right0 (v128.load offset=32 (i32.const 0)))
      (local.set $right1 (v128.load offset=48 (i32.const 0)))
      (loop $round
        ${lines((i) => `(local.set $sum${i} (f32x4.relaxed_madd (local.get $left${i % vectors}) (local.get $right${i % vectors}) (local.get $sum${i})))`)}
        (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      ${lines((i) => `(v128.store offset=${64 + 16 * i} (i32.const 0) (local.get $sum${i}))`)}))`
}
