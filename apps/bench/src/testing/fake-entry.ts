import { fileURLToPath } from 'node:url'
import type { RegistryEntry } from '../implementations/registry.ts'

export type FakeMode =
  | 'right'
  | 'unavailable'
  | 'throws'
  | 'dies'
  | 'ignores-transposes'
  | 'one-wrong-element'
  | 'wrong-when-large'
  | 'silent'
  | 'babbles'

/** A registry entry for the fake child. */
export function fakeEntry(mode: FakeMode, peer = true): RegistryEntry {
  return {
    implementation: 'fake',
    variant: mode,
    peer,
    launch: () => ({
      command: process.execPath,
      arguments: [fileURLToPath(new URL('./fake-child.ts', import.meta.url)), mode],
    }),
  }
}
