/** A signal that follows the keyboard. */
export interface Interrupt {
  readonly signal: AbortSignal
  /** Gives Ctrl-C its usual meaning again. */
  dispose(): void
  [Symbol.dispose](): void
}

/**
 * Turns the first Ctrl-C (SIGINT), or a SIGTERM, into an abort signal, so that training ends after its step with a
 * checkpoint. The second one ends the process at once, with the exit code that the shell expects.
 *
 * @param onInterrupt runs at the first one, for example to say that the run is being saved
 */
export function abortOnInterrupt(onInterrupt?: () => void): Interrupt {
  const controller = new AbortController()
  const exitCodes = { SIGINT: 130, SIGTERM: 143 }
  const handle = (name: keyof typeof exitCodes) => {
    if (controller.signal.aborted) process.exit(exitCodes[name])
    controller.abort()
    onInterrupt?.()
  }
  const dispose = () => {
    process.off('SIGINT', handle)
    process.off('SIGTERM', handle)
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return { signal: controller.signal, dispose, [Symbol.dispose]: dispose }
}
