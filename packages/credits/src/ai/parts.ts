import type { Operation } from './operation.ts'
import type { CreditsReceipt } from './receipt.ts'
import type { AnyModel } from './sdk.ts'

/** A part of a provider's stream, as far as it is looked at here. */
export interface Part {
  type: string
  id?: string
  delta?: unknown
  usage?: unknown
  finishReason?: unknown
  providerMetadata?: unknown
}

/** What `providerMetadata.credits` of a step says when credits ended it. */
export interface CreditsEnding extends Pick<CreditsReceipt, 'reservationId' | 'charged' | 'available' | 'stopped'> {
  cutOff: true
}

function endingOf(operation: Operation): CreditsEnding {
  const { reservationId, charged, available, stopped } = operation.receipt
  return { cutOff: true, reservationId, charged, available, stopped }
}

/** The finish of an answer that credits ended, in the shape of the model's specification version. */
export function finishPart(operation: Operation, model: AnyModel, usage: { input?: number; output: number }): Part {
  const old = model.specificationVersion === 'v2'
  return {
    type: 'finish',
    finishReason: old ? 'length' : { unified: 'length', raw: 'credits' },
    usage: old ? flatUsage(usage) : nestedUsage(usage),
    providerMetadata: { credits: JSON.parse(JSON.stringify(endingOf(operation))) },
  }
}

function flatUsage({ input, output }: { input?: number; output: number }) {
  return { inputTokens: input, outputTokens: output, totalTokens: (input ?? 0) + output }
}

function nestedUsage({ input, output }: { input?: number; output: number }) {
  return {
    inputTokens: { total: input, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
  }
}

/** The answer of a step that was not made because it could not be paid: nothing, and a finish that says why. */
export function unpaidResult(operation: Operation, model: AnyModel) {
  const { finishReason, usage, providerMetadata } = finishPart(operation, model, { input: 0, output: 0 })
  return { content: [], finishReason, usage, providerMetadata, warnings: [] }
}

/** {@link unpaidResult}, streamed. */
export function unpaidStream(operation: Operation, model: AnyModel) {
  const parts: Part[] = [
    { type: 'stream-start', warnings: [] } as Part,
    finishPart(operation, model, { input: 0, output: 0 }),
  ]
  const stream = new ReadableStream<Part>({
    pull(controller) {
      const part = parts.shift()
      if (part === undefined) controller.close()
      else controller.enqueue(part)
    },
  })
  return { stream }
}

const ENDS: Readonly<Record<string, string>> = {
  'text-start': 'text-end',
  'reasoning-start': 'reasoning-end',
  'tool-input-start': 'tool-input-end',
}
const STARTS = new Map(Object.entries(ENDS).map(([start, end]) => [end, start]))

/** Knows which blocks of a stream are open, so that a stream that is cut off can be ended cleanly. */
export class OpenBlocks {
  readonly #open = new Map<string, string>()

  see(part: Part): void {
    if (part.id === undefined) return
    if (part.type in ENDS) this.#open.set(part.id, part.type)
    else if (STARTS.has(part.type)) this.#open.delete(part.id)
  }

  /** The parts that close what is open. */
  ends(): Part[] {
    return [...this.#open].map(([id, start]) => ({ type: ENDS[start] ?? 'text-end', id }))
  }
}
