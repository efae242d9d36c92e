import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** Writes lines to a stream and hashes them. Waits where the reader is slower than the database. */
export class LineWriter {
  readonly #sink: Writable
  readonly #hash: Hash = createHash('sha256')
  #error: Error | undefined

  constructor(sink: Writable) {
    this.#sink = sink
    sink.on('error', (error) => {
      this.#error = error
    })
  }

  /** @throws the error of the stream */
  async line(text: string): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    this.#hash.update(`${text}\n`)
    if (!this.#sink.write(`${text}\n`)) await once(this.#sink, 'drain')
  }

  /** Ends the stream, unless it is shared. @returns the hash of everything that was written, hexadecimal */
  async end(shared = false): Promise<string> {
    if (!shared) {
      this.#sink.end()
      await finished(this.#sink)
    }
    return this.#hash.digest('hex')
  }
}
