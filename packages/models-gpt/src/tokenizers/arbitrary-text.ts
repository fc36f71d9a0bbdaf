import fc from 'fast-check'

/** For tests: any well-formed string. fast-check's own `binary` unit takes seconds to set up. */
export const wellFormedText = fc.string({
  unit: fc
    .integer({ min: 0, max: 0x10ffff - 0x800 })
    .map((rank) => String.fromCodePoint(rank < 0xd800 ? rank : rank + 0x800)),
})

/** For tests: any string, halves of surrogate pairs included. */
export const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
})
