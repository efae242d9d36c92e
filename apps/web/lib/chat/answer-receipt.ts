import { type CreditsReceipt, settledCredits } from '@layers/credits/ai'
import type { UIMessageChunk } from 'ai'
import type { AnswerMetadata } from './chat-message'

/** The parts after which the browser takes an answer for complete. */
const LAST = new Set(['finish', 'error', 'abort'])

/**
 * Adds to an answer what it cost and what is left, once its reservation is settled. The parts that end the answer
 * wait for that; nothing upstream waits. An answer that failed is told apart from one that was stopped.
 */
export function withReceipt(result: unknown): TransformStream<UIMessageChunk, UIMessageChunk> {
  const last: UIMessageChunk[] = []
  return new TransformStream({
    transform(chunk, controller) {
      if (LAST.has(chunk.type)) last.push(chunk)
      else controller.enqueue(chunk)
    },
    async flush(controller) {
      const receipt = await settledCredits(result)
      const failed = last.some(({ type }) => type === 'error')
      if (receipt) controller.enqueue({ type: 'message-metadata', messageMetadata: toMetadata(receipt, failed) })
      for (const chunk of last) controller.enqueue(chunk)
    },
  })
}

function toMetadata({ charged, available, estimated, stopped }: CreditsReceipt, failed: boolean): AnswerMetadata {
  return {
    credits: charged,
    available,
    estimated: estimated || undefined,
    stopped: stopped?.reason,
    failed: failed || undefined,
  }
}
