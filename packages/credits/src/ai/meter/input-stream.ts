import type { SeenOutput, StreamedInput } from '../types.ts'

/** What a metered input stream works with. */
export interface MeteredInput {
  input: StreamedInput
  /** Its `inputAmount` is what the provider has read. */
  seen: SeenOutput
  /** Characters or seconds that are paid for at first. */
  covered: number
  /** Reserves for so much input. @returns what is then paid for. Undefined: the credits have run out. */
  extendTo(amount: number): Promise<number | undefined>
}

/**
 * An input that arrives while the provider works, counted as the provider reads it. What cannot be paid is not handed
 * on: there the input ends for the provider, which finishes with what it has.
 */
export function meteredInput(source: ReadableStream<unknown>, metered: MeteredInput): ReadableStream<unknown> {
  const { input, seen, extendTo } = metered
  let { covered } = metered
  // Taken when it is first read: an input that the provider never touches stays with its owner.
  let reader: ReadableStreamDefaultReader<unknown> | undefined
  const pull = async (controller: ReadableStreamDefaultController<unknown>) => {
    reader ??= source.getReader()
    const { done, value } = await reader.read()
    if (done) return controller.close()
    const amount = seen.inputAmount + input.measure(value)
    if (amount > covered) {
      const extended = await extendTo(amount)
      if (extended === undefined) {
        reader.cancel(new DOMException('credits have run out', 'AbortError')).catch(() => undefined)
        return controller.close()
      }
      covered = extended
    }
    seen.inputAmount = amount
    controller.enqueue(value)
  }
  const cancel = (reason: unknown) => (reader ?? source).cancel(reason)
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 })
}
