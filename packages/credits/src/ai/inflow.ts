/**
 * An input that arrives while the provider works: text to speak, audio to listen to. How much of it there will be
 * nobody knows beforehand, so it is counted as the provider reads it, and more is held as it grows.
 */
export class Inflow {
  /** The option that holds the stream. */
  readonly key: string
  /** Read by the provider so far: characters, or seconds at most. */
  seen = 0
  /** As much as is held for. */
  covered = 0
  readonly #measure: (chunk: unknown) => number

  constructor(key: string, measure: (chunk: unknown) => number) {
    this.key = key
    this.#measure = measure
  }

  /**
   * The input with a counter in it. What cannot be paid for is not handed on: there the input ends for the provider,
   * who finishes with what it has.
   * @param grow asked to hold for so much; sets `covered` if it can
   */
  counted(input: ReadableStream<unknown>, grow: (amount: number) => Promise<boolean>): ReadableStream<unknown> {
    // Taken when it is first needed: an input that the provider never touched stays its owner's.
    let reader: ReadableStreamDefaultReader<unknown> | undefined
    const pull = async (controller: ReadableStreamDefaultController<unknown>) => {
      reader ??= input.getReader()
      const { done, value } = await reader.read()
      if (done) return controller.close()
      const seen = this.seen + this.#measure(value)
      if (seen > this.covered && !(await grow(seen))) {
        reader.cancel(new DOMException('credits have run out', 'AbortError')).catch(() => undefined)
        return controller.close()
      }
      this.seen = seen
      controller.enqueue(value)
    }
    const cancel = (reason: unknown) => (reader ?? input).cancel(reason)
    return new ReadableStream({ pull, cancel }, { highWaterMark: 0 })
  }
}
