import type { MessageCredits } from '@layers/credits/ai'
import type { UIMessage } from 'ai'

/** What the chat route says about an answer besides its text. */
export interface AnswerMetadata {
  model?: string | undefined
  /** Why the model ended, in the words of the AI SDK, such as `stop` or `length`. */
  finishReason?: string | undefined
}

/** A message of the chat. The last part of an answer says what it cost. */
export type ChatMessage = UIMessage<AnswerMetadata, { credits: MessageCredits }>

/** The text of a message, without its other parts. */
export function messageText({ parts }: ChatMessage): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** What an answer cost. Undefined while it is on its way, and for one that was stopped. */
export function messageCredits({ parts }: ChatMessage): MessageCredits | undefined {
  return parts.find((part) => part.type === 'data-credits')?.data
}
