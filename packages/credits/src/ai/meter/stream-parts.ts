import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { CreditsReceipt } from '../receipt.ts'
import type { AnyModel } from '../types.ts'

/** What `providerMetadata.credits` of a step says when credits ended it. */
export interface CutOffMetadata extends Pick<CreditsReceipt, 'reservationId' | 'charged' | 'available' | 'stopped'> {
  cutOff: true
}

type FinishPart = Extract<LanguageModelV4StreamPart, { type: 'finish' }>

/** Tokens for the finish of an answer that credits ended. */
export interface EndedUsage {
  input?: number | undefined
  output: number
}

/** The finish of an answer that credits ended, in the shape of the model's specification version. */
export function finishPart(receipt: CreditsReceipt, model: AnyModel, usage: EndedUsage): FinishPart {
  const { reservationId, charged, available, stopped } = receipt
  const cutOff: CutOffMetadata = { cutOff: true, reservationId, charged, available, stopped }
  const old = model.specificationVersion === 'v2'
  return {
    type: 'finish',
    finishReason: old ? 'length' : { unified: 'length', raw: 'credits' },
    usage: old ? flatUsage(usage) : nestedUsage(usage),
    // Metadata is JSON, which has no undefined.
    providerMetadata: { credits: JSON.parse(JSON.stringify(cutOff)) },
  } as FinishPart
}

function flatUsage({ input, output }: EndedUsage) {
  return { inputTokens: input, outputTokens: output, totalTokens: (input ?? 0) + output }
}

function nestedUsage({ input, output }: EndedUsage) {
  return {
    inputTokens: { total: input, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
  }
}

/** The answer of a step that was not made because it could not be paid: no content, and a finish that says why. */
export function unpaidResult(receipt: CreditsReceipt, model: AnyModel) {
  const { finishReason, usage, providerMetadata } = finishPart(receipt, model, { input: 0, output: 0 })
  return { content: [], finishReason, usage, providerMetadata, warnings: [] }
}

/** {@link unpaidResult} as a stream. */
export function unpaidStream(receipt: CreditsReceipt, model: AnyModel) {
  const start: LanguageModelV4StreamPart = { type: 'stream-start', warnings: [] }
  const parts = [start, finishPart(receipt, model, { input: 0, output: 0 })]
  const stream = new ReadableStream<LanguageModelV4StreamPart>({
    pull(controller) {
      const part = parts.shift()
      if (part === undefined) controller.close()
      else controller.enqueue(part)
    },
  })
  return { stream }
}

const END_OF = {
  'text-start': 'text-end',
  'reasoning-start': 'reasoning-end',
  'tool-input-start': 'tool-input-end',
} as const
type Start = keyof typeof END_OF
type End = (typeof END_OF)[Start]

/** Knows which blocks of a stream are open, so that a stream that is cut off can be ended properly. */
export class OpenBlocks {
  readonly #open = new Map<string, End>()

  /** True when every block that began has ended. */
  get allEnded(): boolean {
    return this.#open.size === 0
  }

  see(part: { type: string; id?: string }): void {
    if (part.id === undefined) return
    if (part.type in END_OF) this.#open.set(part.id, END_OF[part.type as Start])
    else if (this.#open.get(part.id) === part.type) this.#open.delete(part.id)
  }

  /** The parts that end what is open. */
  ends(): LanguageModelV4StreamPart[] {
    return [...this.#open].map(([id, type]) => ({ type, id }))
  }
}
