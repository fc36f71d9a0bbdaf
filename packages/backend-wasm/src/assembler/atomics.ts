import type { Operand } from './expression.ts'
import { checkOffset, Expression, instruction, load, store, toExpression } from './expression.ts'

function readModifyWrite(name: string, opcode: number) {
  const op = instruction(name, 0xfe, opcode, 'memory', 2)
  return (address: Operand<'i32'>, value: Operand<'i32'>, offset = 0): Expression<'i32'> =>
    new Expression('i32', op, [toExpression('i32', address, name), toExpression('i32', value, name)], {
      offset: checkOffset(name, offset),
    })
}

const compareExchangeOp = instruction('i32.atomic.rmw.cmpxchg', 0xfe, 0x48, 'memory', 2)
const waitOp = instruction('memory.atomic.wait32', 0xfe, 1, 'memory', 2)
const notifyOp = instruction('memory.atomic.notify', 0xfe, 0, 'memory', 2)
const fenceOp = instruction('atomic.fence', 0xfe, 3, 'zero')

/** Atomic instructions on aligned 32-bit words; each read-modify-write gives the old value. */
export const atomic = {
  load: load('i32.atomic.load', 0xfe, 0x10, 'i32', 2),
  add: readModifyWrite('i32.atomic.rmw.add', 0x1e),
  sub: readModifyWrite('i32.atomic.rmw.sub', 0x25),
  and: readModifyWrite('i32.atomic.rmw.and', 0x2c),
  or: readModifyWrite('i32.atomic.rmw.or', 0x33),
  xor: readModifyWrite('i32.atomic.rmw.xor', 0x3a),
  exchange: readModifyWrite('i32.atomic.rmw.xchg', 0x41),
  /** Stores `replacement` if the word equals `expected`; gives the old value. */
  compareExchange: (
    address: Operand<'i32'>,
    expected: Operand<'i32'>,
    replacement: Operand<'i32'>,
    offset = 0,
  ): Expression<'i32'> =>
    new Expression(
      'i32',
      compareExchangeOp,
      [
        toExpression('i32', address, compareExchangeOp.name),
        toExpression('i32', expected, compareExchangeOp.name),
        toExpression('i32', replacement, compareExchangeOp.name),
      ],
      { offset: checkOffset(compareExchangeOp.name, offset) },
    ),
  /** Sleeps while the word equals `expected`: 0 woken, 1 not equal, 2 timed out. Nanoseconds; −1n waits for ever. Traps on a browser's main thread. */
  wait: (
    address: Operand<'i32'>,
    expected: Operand<'i32'>,
    timeout: Operand<'i64'> = -1n,
    offset = 0,
  ): Expression<'i32'> =>
    new Expression(
      'i32',
      waitOp,
      [
        toExpression('i32', address, waitOp.name),
        toExpression('i32', expected, waitOp.name),
        toExpression('i64', timeout, waitOp.name),
      ],
      { offset: checkOffset(waitOp.name, offset) },
    ),
  /** Wakes up to `count` waiters; gives how many woke. */
  notify: (address: Operand<'i32'>, count: Operand<'i32'> = -1, offset = 0): Expression<'i32'> =>
    new Expression(
      'i32',
      notifyOp,
      [toExpression('i32', address, notifyOp.name), toExpression('i32', count, notifyOp.name)],
      {
        offset: checkOffset(notifyOp.name, offset),
      },
    ),
}

/** Atomic effects; kernels write them with `fn.atomicStore` and `fn.fence`. */
export const atomicEffect = {
  store: store('i32.atomic.store', 0xfe, 0x17, 'i32', 2),
  fence: (): Expression<'void'> => new Expression('void', fenceOp),
}
