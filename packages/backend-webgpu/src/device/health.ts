import { TesseraError } from '@tessera/core'

/** Whether a device still works, and if not, why: closed, lost, or with an error that was found after the call that caused it. */
export class Health {
  #closed = false
  #lost: string | undefined
  #failure: TesseraError | undefined
  readonly #onLost: (() => void)[] = []

  constructor(device: GPUDevice) {
    void device.lost.then(({ reason, message }) => {
      if (this.#closed) return
      this.#lost = `${reason === 'destroyed' ? 'it was destroyed' : 'the system took it away'}${message ? `: ${message.trim()}` : ''}`
      for (const listener of this.#onLost) listener()
    })
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent
      // The device reports only here; without this the browser, or Dawn, would print it.
      event.preventDefault()
      const isMemory = typeof GPUOutOfMemoryError !== 'undefined' && error instanceof GPUOutOfMemoryError
      this.fail(
        isMemory
          ? new TesseraError(
              'OUT_OF_MEMORY',
              `webgpu: the adapter has no memory left: ${error.message}. Free tensors, or use smaller batches.`,
            )
          : new TesseraError('WEBGPU', `webgpu: the adapter refused a command: ${error.message}`),
      )
    })
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  get isClosed(): boolean {
    return this.#closed
  }

  whenLost(listener: () => void): void {
    this.#onLost.push(listener)
  }

  /** Notes an error, for the next operation to report. Of several the first one: others often follow from it. */
  fail(error: TesseraError): void {
    this.#failure ??= error
  }

  close(): void {
    this.#closed = true
  }

  /** @throws TesseraError `DEVICE_CLOSED`, `DEVICE_LOST`, or the first error that was noted */
  require(operation: string): void {
    if (this.#closed) {
      throw new TesseraError('DEVICE_CLOSED', `webgpu: ${operation}: this device is closed. Open another one.`)
    }
    if (this.#lost !== undefined) throw this.lostError(operation)
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure
  }

  lostError(operation: string): TesseraError {
    return new TesseraError(
      'DEVICE_LOST',
      `webgpu: ${operation}: the device is lost; ${this.#lost}. Its memory is gone. Create another runtime and go on from the last checkpoint.`,
    )
  }
}
