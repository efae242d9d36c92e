import type { UIMessage } from 'ai'
import { z } from 'zod'

/** What rides along with an answer: decimal strings of credits. */
export const answerMetadataSchema = z.object({
  model: z.string().optional(),
  /** What the answer cost. */
  credits: z.string().optional(),
  /** What is left to spend. */
  available: z.string().optional(),
})

/** A message of the chat. */
export type ChatMessage = UIMessage<z.infer<typeof answerMetadataSchema>>
