import { CreditError } from '../core/errors.ts'
import { type ProblemBody, problemOf } from '../core/problem.ts'
import { type CreditsReceipt, creditsReceipt } from './receipt.ts'

/** What a message's metadata and the data part say about credits. Amounts are decimal strings. */
export interface MessageCredits {
  charged: string
  available: string | undefined
  /** The charge is an estimate that may be corrected later. */
  estimated: boolean
  stopped: CreditsReceipt['stopped']
}

function messageCredits({ charged, available, estimated, stopped }: CreditsReceipt): MessageCredits {
  return { charged, available, estimated, stopped }
}

/**
 * `messageMetadata` for `toUIMessageStream`: when an answer ends, its cost and what is left go into
 * `message.metadata.credits`, for `useChat` to show.
 *
 * @example
 * ```ts
 * const result = await withCredits(streamText, context)({ model, messages })
 * toUIMessageStream({ stream: result.stream, messageMetadata: creditsMessageMetadata(result) })
 * ```
 */
export function creditsMessageMetadata(
  result: unknown,
): (options: { part: { type: string } }) => { credits: MessageCredits } | undefined {
  return ({ part }) => {
    if (part.type !== 'finish') return undefined
    const receipt = creditsReceipt(result)
    return receipt && { credits: messageCredits(receipt) }
  }
}

/** The data part of a UI message stream: `useChat`'s `onData` gets it with `type: 'data-credits'`. */
export interface CreditsDataPart {
  type: 'data-credits'
  /** One per message: a later one replaces an earlier one. */
  id: string
  data: MessageCredits
}

/** The data part of an error, typed where an error part of a stream is a mere text. */
export interface CreditsErrorPart {
  type: 'data-credits-error'
  data: CreditProblem
}

const LAST = new Set(['finish', 'abort', 'error'])

/**
 * A UI message stream with a `data-credits` part before its end: what the answer cost, what is left, and why it was
 * cut short, if it was.
 *
 * @example
 * ```ts
 * createUIMessageStreamResponse({ stream: withCreditsPart(toUIMessageStream({ stream: result.stream }), result) })
 * ```
 */
export function withCreditsPart<Chunk extends { type: string }>(
  stream: ReadableStream<Chunk>,
  result: unknown,
): ReadableStream<Chunk | CreditsDataPart> {
  let told = false
  return stream.pipeThrough(
    new TransformStream<Chunk, Chunk | CreditsDataPart>({
      transform(chunk, controller) {
        const receipt = !told && LAST.has(chunk.type) ? creditsReceipt(result) : undefined
        if (receipt !== undefined) {
          told = true
          controller.enqueue({ type: 'data-credits', id: 'credits', data: messageCredits(receipt) })
        }
        controller.enqueue(chunk)
      },
    }),
  )
}

/** An error as clients get it: RFC 9457 with our `code`, and on a 402 the numbers. */
export interface CreditProblem extends ProblemBody {
  available?: string
  balance?: string
  required?: string
  upgradeUrl?: string
}

/** The public face of a credits error; undefined for every other one. A failure of the server says no more than its code. */
export function creditProblem(error: unknown): CreditProblem | undefined {
  return CreditError.isInstance(error) ? problemOf(error) : undefined
}

/**
 * The `application/problem+json` answer to a credits error, before anything is streamed. Other errors are thrown on.
 *
 * @example
 * ```ts
 * try { result = await withCredits(streamText, context)({ model, messages }) }
 * catch (error) { return creditErrorResponse(error) }
 * ```
 */
export function creditErrorResponse(error: unknown): Response {
  const problem = creditProblem(error)
  if (problem === undefined) throw error
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

/**
 * `onError` for `toUIMessageStream`: a credits error becomes the JSON of its problem, so that the client can branch on
 * `code`; any other keeps the SDK's words, which give nothing away.
 *
 * @example toUIMessageStream({ stream: result.stream, onError: creditErrorText })
 */
export function creditErrorText(error: unknown): string {
  const problem = creditProblem(error)
  return problem === undefined ? 'An error occurred.' : JSON.stringify(problem)
}

/**
 * A credits error as a data part, for streams that are written by hand.
 * @example writer.write(creditErrorPart(error) ?? { type: 'error', errorText: 'Something went wrong.' })
 */
export function creditErrorPart(error: unknown): CreditsErrorPart | undefined {
  const data = creditProblem(error)
  return data && { type: 'data-credits-error', data }
}
