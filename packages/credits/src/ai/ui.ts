import { type CreditsReceipt, creditsReceipt } from './receipt.ts'

/** What a data part says about credits. Amounts are decimal strings. */
export interface MessageCredits {
  charged: string
  available: string | undefined
  /** The charge is an estimate that may be corrected later. */
  estimated: boolean
  stopped: CreditsReceipt['stopped']
}

/** The data part of a UI message stream. `onData` of `useChat` gets it with `type: 'data-credits'`. */
export interface CreditsDataPart {
  type: 'data-credits'
  /** One per message: a later one replaces an earlier one. */
  id: string
  data: MessageCredits
}

const LAST_PARTS: ReadonlySet<string> = new Set(['finish', 'abort', 'error'])

/**
 * A UI message stream with a `data-credits` part before its end: what the answer cost, what is left, and why it was cut
 * short, if it was.
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
): ReadableStream<Chunk | CreditsDataPart> {
  let written = false
  return stream.pipeThrough(
    new TransformStream<Chunk, Chunk | CreditsDataPart>({
      transform(chunk, controller) {
        const receipt = !written && LAST_PARTS.has(chunk.type) ? creditsReceipt(result) : undefined
        if (receipt !== undefined) {
          written = true
          controller.enqueue({ type: 'data-credits', id: 'credits', data: messageCredits(receipt) })
        }
        controller.enqueue(chunk)
      },
    }),
  )
}

function messageCredits({ charged, available, estimated, stopped }: CreditsReceipt): MessageCredits {
  return { charged, available, estimated, stopped }
}
