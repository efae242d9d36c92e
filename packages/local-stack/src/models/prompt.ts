import { countTokens } from './tokens.ts'

/** A part of a message, as far as it matters here. */
interface Part {
  type: string
  text?: string
  mediaType?: string
  toolName?: string
  input?: unknown
  output?: unknown
}

/** A message of the model protocol. */
export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool'
  content: string | Part[]
}

/** Images and documents count flat; their base64 length says nothing about tokens. */
const TOKENS_PER_FILE = 258
const TOKENS_PER_MESSAGE = 4

/** What the model reads: all messages, tool definitions and the wanted schema. */
export function countPrompt(body: { prompt?: Message[]; tools?: unknown[]; responseFormat?: unknown }): number {
  const messages = (body.prompt ?? []).map((message) => TOKENS_PER_MESSAGE + countContent(message.content))
  const extras = [body.tools, (body.responseFormat as { schema?: unknown } | undefined)?.schema]
  const extra = extras.map((value) => (value === undefined ? 0 : countTokens(JSON.stringify(value))))
  return [...messages, ...extra].reduce((a, b) => a + b, 0)
}

function countContent(content: Message['content']): number {
  if (typeof content === 'string') return countTokens(content)
  return content.reduce((total, part) => total + countPart(part), 0)
}

function countPart(part: Part): number {
  if (part.text !== undefined) return countTokens(part.text)
  if (part.type === 'file' || part.type === 'reasoning-file') return TOKENS_PER_FILE
  return countTokens(JSON.stringify(part.input ?? part.output ?? ''))
}

/** The text of the last user message. */
export function lastQuestion(prompt: Message[]): string {
  const message = prompt.findLast((candidate) => candidate.role === 'user')
  return message === undefined ? '' : textOf(message.content)
}

function textOf(content: Message['content']): string {
  if (typeof content === 'string') return content
  return content
    .map((part) => part.text ?? '')
    .filter((text) => text !== '')
    .join('\n')
}

/** How many tool results have come since the user last said something: the number of steps already taken. */
export function stepsTaken(prompt: Message[]): number {
  const start = prompt.findLastIndex((message) => message.role === 'user')
  return prompt.slice(start + 1).filter((message) => message.role === 'tool').length
}

/** The results of the last step's tools, as readable text. */
export function lastToolResults(prompt: Message[]): string[] {
  const last = prompt.at(-1)
  if (last?.role !== 'tool' || typeof last.content === 'string') return []
  return last.content
    .filter((part) => part.type === 'tool-result')
    .map((part) => `${part.toolName}: ${readable(part.output)}`)
}

function readable(output: unknown): string {
  const value = (output as { value?: unknown } | undefined)?.value
  return typeof value === 'string' ? value : JSON.stringify(value ?? output)
}
