import { ProgramBuilder, referenceRun, runProgram } from '@tessera/core/testing'
import { wasm, wasmKernels } from './wasm.ts'
const b = new ProgramBuilder()
for (const N of [1, 3,17]) {
const x = b.input('f32', [N, 1]); const y = b.output('f32', [N, 1])
b.row([N, 0], 1, (body) => body.store(y, body.reduce('reduceSum', body.compute('multiply', body.load(x), body.constant(0.5)))))
}
const p = b.build(256)
const ins = [1,3,17].map((n) => new Float32Array(n).fill(3))
console.log(await referenceRun(p, ins))
const d = await wasm({ variant: 'relaxed' }).backends![0]!.open() as any
const r = await runProgram(d, wasmKernels as any, p, ins)
console.log(r.outputs.map(o => new Float32Array(o.buffer)))
