import { type CreditsReceipt, creditsReceipt } from './receipt.ts'

/** What a data part says about credits. Amounts are decimal strings. */
export interface MessageCredits {
  charged: string
  available: string | undefined
  /** False: the charge is not in the ledger yet. It is written in the background, and the history has it then. */
  booked: boolean
  /** The charge is an estimate that may be corrected later. */
  estimated: boolean
  /** The stream has an error part: the answer is not complete. */
  failed: boolean
  stopped: CreditsReceipt['stopped']
}

/** The data part of a UI message stream. `onData` of `useChat` gets it with `type: 'data-credits'`. */
export interface CreditsDataPart {
  type: 'data-credits'
  /** One per message: a later one replaces an earlier one. */
  id: string
  data: MessageCredits
}

/** Options of {@link withCreditsPart}. */
export interface CreditsPartOptions {
  /** Longest wait for the ledger, in milliseconds. After it the part says `booked: false`. Default 2,000. */
  waitMs?: number | undefined
}

const LAST_PARTS: ReadonlySet<string> = new Set(['finish', 'abort', 'error'])
const DEFAULT_WAIT_MS = 2_000

/**
 * A UI message stream with a `data-credits` part before its end: what the answer cost, what is left, and why it was cut
 * short, if it was. The text is not delayed. Only the end of the stream waits for the charge to be written.
 *
 * @example
 * ```ts
 * const stream = toUIMessageStream({ stream: result.stream })
 * return createUIMessageStreamResponse({ stream: withCreditsPart(stream, result) })
 * ```
 */
export function withCreditsPart<Chunk extends { type: string }>(
  stream: ReadableStream<Chunk>,
  result: unknown,
  { waitMs = DEFAULT_WAIT_MS }: CreditsPartOptions = {},
): ReadableStream<Chunk | CreditsDataPart> {
  // A client reads nothing that comes after one of the last parts.
  const end: Chunk[] = []
  return stream.pipeThrough(
    new TransformStream<Chunk, Chunk | CreditsDataPart>({
      transform(chunk, controller) {
        if (end.length > 0 || LAST_PARTS.has(chunk.type)) end.push(chunk)
        else controller.enqueue(chunk)
      },
      // The call settles when its stream has been read to the end, so the wait is here and not in `transform`.
      async flush(controller) {
        const receipt = await receiptWithin(result, waitMs)
        const failed = end.some(({ type }) => type === 'error')
        if (receipt !== undefined) {
          controller.enqueue({ type: 'data-credits', id: 'credits', data: messageCredits(receipt, failed) })
        }
        for (const chunk of end) controller.enqueue(chunk)
      },
    }),
  )
}

/** The final receipt, or that of the moment when the wait is over. */
async function receiptWithin(result: unknown, waitMs: number): Promise<CreditsReceipt | undefined> {
  const settled = creditsReceipt(result)?.settled
  if (settled === undefined) return undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), waitMs)
  })
  const receipt = await Promise.race([settled, timeout])
  clearTimeout(timer)
  return receipt ?? creditsReceipt(result)
}

function messageCredits(receipt: CreditsReceipt, failed: boolean): MessageCredits {
  const { charged, available, booked, estimated, stopped } = receipt
  return { charged, available, booked, estimated, failed, stopped }
}
