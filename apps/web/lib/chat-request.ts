import type { ModelMessage } from 'ai'
import { z } from 'zod'

const part = z.looseObject({ type: z.string(), text: z.string().max(100_000).optional() })

const message = z.looseObject({ role: z.enum(['user', 'assistant']), parts: z.array(part).max(200) })

const model = z.string().min(1).max(200).optional()

/** What `useChat` sends. Unknown members are its own business; a system message is not the browser's to write. */
export const chatBody = z
  .looseObject({ messages: z.array(message).min(1).max(200), model })
  .refine(({ messages }) => toModelMessages(messages.slice(-1)).length === 1, {
    path: ['messages'],
    error: 'the last message has no text',
  })

/** Body of `POST /api/generate`. */
export const generateBody = z.strictObject({ prompt: z.string().min(1).max(100_000), model })

/** Longest chat that is read, in bytes. */
export const MAX_CHAT_BYTES = 1_000_000

/**
 * The conversation as the model gets it: its text. Files are left out, because the server would fetch
 * whatever address a page put into one.
 */
export function toModelMessages(messages: z.infer<typeof message>[]): ModelMessage[] {
  return messages
    .map(({ role, parts }) => ({
      role,
      content: parts.map(({ type, text }) => (type === 'text' ? (text ?? '') : '')).join(''),
    }))
    .filter(({ content }) => content.trim().length > 0)
}
