import { type CreditsReceipt, creditsReceipt } from '@layers/credits/ai'
import type { UIMessageChunk } from 'ai'
import type { AnswerMetadata } from './chat-message'

/**
 * Adds to an answer what it cost and what is left, before its closing `finish` part: the browser takes the answer for
 * complete when it sees that one.
 */
export function withReceipt(result: unknown): TransformStream<UIMessageChunk, UIMessageChunk> {
  let finish: UIMessageChunk | undefined
  return new TransformStream({
    transform(chunk, controller) {
      if (chunk.type === 'finish') finish = chunk
      else controller.enqueue(chunk)
    },
    flush(controller) {
      const receipt = creditsReceipt(result)
      if (receipt) controller.enqueue({ type: 'message-metadata', messageMetadata: toMetadata(receipt) })
      if (finish) controller.enqueue(finish)
    },
  })
}

function toMetadata({ charged, available, estimated, stopped }: CreditsReceipt): AnswerMetadata {
  return { credits: charged, available, estimated: estimated || undefined, stopped: stopped?.reason }
}
