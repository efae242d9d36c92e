import type { UIMessage } from 'ai'

/** What rides along with an answer; amounts are decimal strings of credits. */
export interface AnswerMetadata {
  model?: string | undefined
  /** What the answer cost. */
  credits?: string | undefined
  /** What is left to spend. */
  available?: string | undefined
  /** The cost was estimated, because the provider's count was lost. */
  estimated?: boolean | undefined
  /** The call failed; what is there was written before that. */
  failed?: boolean | undefined
  /** Why the model ended, in the words of the AI SDK, such as `stop` or `length`. */
  finishReason?: string | undefined
  /** Why the answer is shorter than the model meant it to be. */
  stopped?: 'clamped' | 'cut-off' | 'budget' | 'abandoned' | undefined
}

/** A message of the chat. */
export type ChatMessage = UIMessage<AnswerMetadata>
