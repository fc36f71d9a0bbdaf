import { TesseraError } from '@tessera/core'
import type { Tokenizer } from '../tokenizers/tokenizer.ts'

/** Most bytes of an unfinished UTF-8 character; each may show as one replacement character. */
const unfinished = /\ufffd{1,3}$/

/**
 * Turns tokens into text as they come. A token of a byte-level tokenizer may hold part of a character: such bytes wait for
 * the rest. Text that may be the beginning of a stop string waits as well.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer
  readonly #stops: readonly string[]
  /** Tokens whose text has not all been handed on, and how much of it has. */
  #pending: number[] = []
  #taken = 0
  #held = ''
  #stopped = false

  /** @throws TesseraError `STOP_STRING` for an empty stop string */
  constructor(tokenizer: Tokenizer, stops: readonly string[] = []) {
    if (stops.includes('')) {
      throw new TesseraError(
        'STOP_STRING',
        'generate: a stop string is empty, which every text contains. Leave it out.',
      )
    }
    this.#tokenizer = tokenizer
    this.#stops = stops
  }

  /** True when a stop string has come: it and what follows are left out. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** Takes a token and gives the text that is certain now, often one token behind. */
  push(token: number): string {
    if (this.#stopped) return ''
    this.#pending.push(token)
    const text = this.#tokenizer.decode(this.#pending)
    const whole = text.replace(unfinished, '')
    const piece = whole.slice(this.#taken)
    this.#taken = whole.length
    if (whole.length === text.length) {
      this.#pending = []
      this.#taken = 0
    }
    return this.#untilStop(piece, true)
  }

  /** The rest, when no more tokens come. */
  end(): string {
    if (this.#stopped) return ''
    const rest = this.#tokenizer.decode(this.#pending).slice(this.#taken)
    this.#pending = []
    this.#taken = 0
    return this.#untilStop(rest, false)
  }

  #untilStop(piece: string, moreMayCome: boolean): string {
    const text = this.#held + piece
    const places = this.#stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0)
    if (places.length > 0) {
      this.#stopped = true
      this.#held = ''
      return text.slice(0, Math.min(...places))
    }
    const kept = moreMayCome ? Math.max(0, ...this.#stops.map((stop) => overlap(text, stop))) : 0
    this.#held = text.slice(text.length - kept)
    return text.slice(0, text.length - kept)
  }
}

/** Length of the longest end of `text` with which `stop` begins, short of all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length
  }
  return 0
}
