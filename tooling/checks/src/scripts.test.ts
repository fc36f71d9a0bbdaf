import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from './process.ts'
import { root } from './workspace.ts'

const run = join(root, 'scripts/run.mjs')

describe('run.mjs', () => {
  test('hands on the exit code and the arguments', () => {
    const args = [run, 'node', '--eval', 'console.log(process.argv.slice(1).join()); process.exit(7)', 'a', 'b c']
    const outcome = runProgram(process.execPath, args, { cwd: tmpdir() })
    expect(outcome).toMatchObject({ ok: false, stdout: 'a,b c\n' })
  })

  test('names a tool or a file that does not exist', () => {
    expect(runProgram(process.execPath, [run, 'no-such-tool'], { cwd: root }).output).toContain('named no-such-tool')
    expect(runProgram(process.execPath, [run, 'node', 'no/such.ts'], { cwd: root }).output).toContain('no/such.ts')
  })

  test.skipIf(process.platform === 'win32')('an interrupt of the whole group reaches the program once', async () => {
    const args = [run, 'node', 'tooling/checks/fixtures/count-signals.mjs']
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    await once(child.stdout, 'data')
    process.kill(-child.pid!, 'SIGINT')
    // npm hands the same interrupt on to its script.
    process.kill(child.pid!, 'SIGINT')
    const [code] = await once(child, 'exit')
    expect(code).toBe(41)
  })
})

describe('count-tests.mjs', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tessera-count-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const report = {
    numPassedTests: 5,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    success: true,
    testResults: [],
  }

  function count(changes: object): { ok: boolean; lines: string[] } {
    const file = join(folder, 'report.json')
    writeFileSync(file, JSON.stringify({ ...report, ...changes }))
    const { ok, stdout } = runProgram(process.execPath, [join(root, 'scripts/count-tests.mjs'), file], { cwd: root })
    return { ok, lines: stdout.trimEnd().split('\n') }
  }

  test('counts what passed and failed', () => {
    expect(count({})).toEqual({ ok: true, lines: ['5 passed, 0 failed'] })
    expect(count({ numPendingTests: 2 })).toEqual({ ok: true, lines: ['2 skipped', '5 passed, 0 failed'] })
    expect(count({ numFailedTests: 1, success: false })).toEqual({ ok: false, lines: ['5 passed, 1 failed'] })
  })

  test('counts a file that cannot be loaded as a failure', () => {
    const broken = { name: join(root, 'a.test.ts'), status: 'failed', message: 'no', assertionResults: [] }
    const { ok, lines } = count({ testResults: [broken], success: false })
    expect(ok).toBe(false)
    expect(lines).toEqual(['Could not be loaded: a.test.ts: no', '5 passed, 1 failed'])
  })

  test('fails without tests and without a report', () => {
    expect(count({ numPassedTests: 0 })).toEqual({ ok: false, lines: ['No test ran.', '0 passed, 0 failed'] })
    const missing = runProgram(process.execPath, [join(root, 'scripts/count-tests.mjs'), join(folder, 'no')], {
      cwd: root,
    })
    expect(missing.ok).toBe(false)
    expect(missing.stdout).toBe('0 passed, 0 failed\n')
  })
})
