import type { ModelMessage } from 'ai'
import { z } from 'zod'

const part = z.looseObject({ type: z.string(), text: z.string().max(100_000).optional() })

const message = z.looseObject({ role: z.enum(['user', 'assistant']), parts: z.array(part).max(200) })

/** Messages of a conversation that the model gets, the latest ones. */
const MAX_MODEL_MESSAGES = 200

const model = z.string().min(1).max(200).optional()

/** What `useChat` sends. Members that are not named here are ignored; a browser may not write system messages. */
export const chatBody = z
  .looseObject({ messages: z.array(message).min(1).max(5000), model })
  .refine(({ messages }) => toModelMessages(messages.slice(-1)).length === 1, {
    path: ['messages'],
    error: 'The last message has no text',
  })

/** Body of `POST /api/generate`. */
export const generateBody = z.strictObject({ prompt: z.string().min(1).max(100_000), model })

/** Longest chat that is read, in bytes. */
export const MAX_CHAT_BYTES = 1_000_000

/**
 * The conversation as the model gets it: the text of its latest messages. Files are left out, because the server would fetch
 * whatever address a page put into one.
 */
export function toModelMessages(messages: z.infer<typeof message>[]): ModelMessage[] {
  const latest = messages
    .map(({ role, parts }) => ({
      role,
      content: parts.map(({ type, text }) => (type === 'text' ? (text ?? '') : '')).join(''),
    }))
    .filter(({ content }) => content.trim().length > 0)
    .slice(-MAX_MODEL_MESSAGES)
  // Some providers refuse a conversation that begins with an answer.
  return latest[0]?.role === 'assistant' ? latest.slice(1) : latest
}
