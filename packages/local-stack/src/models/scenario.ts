import { z } from 'zod'

/**
 * How a test (or a curious developer) instructs the development models: in the prompt, as
 * `[dev: tokens=500 delay=2 tool=weather({"city":"Rome"}) nofinish]`, or as `providerOptions: { dev: { tokens: 500 } }`.
 * Every key works for every kind of model where it makes sense.
 */
const scenarioSchema = z.strictObject({
  /** The answer, word for word. */
  text: z.string().optional(),
  /** Length of the answer in tokens. */
  tokens: z.number().int().min(0).optional(),
  /** Reported input tokens, instead of the counted ones. */
  input: z.number().int().min(0).optional(),
  /** Reasoning tokens before the answer; part of the output. */
  reasoning: z.number().int().min(0).optional(),
  /** Input tokens read from the cache; part of the input. */
  cached: z.number().int().min(0).optional(),
  /** Input tokens written to the cache; part of the input. */
  cacheWrite: z.number().int().min(0).optional(),
  /** Billed web searches. */
  searches: z.number().int().min(0).optional(),
  /** Milliseconds between two parts of a stream. */
  delay: z.number().min(0).optional(),
  /** Milliseconds before the answer begins. */
  wait: z.number().min(0).optional(),
  /** A tool call instead of an answer: `name` or `name({"json":"input"})`. */
  tool: z.string().optional(),
  /** For how many steps in a row the tool is called. Default 1. */
  toolSteps: z.number().int().min(1).optional(),
  /** Finish reason: `stop`, `length`, `content-filter`, `other`. */
  finish: z.string().optional(),
  /** HTTP status to fail with; with `at`, an error part in the stream. */
  error: z.number().int().min(400).max(599).optional(),
  /** Fail only this often for the same prompt, then answer. */
  times: z.number().int().min(1).optional(),
  /** The token of the answer at which `error`, `drop` or `stall` happens. */
  at: z.number().int().min(0).optional(),
  /** Cut the connection. */
  drop: z.boolean().optional(),
  /** Send nothing more, but keep the connection open. */
  stall: z.boolean().optional(),
  /** End the stream without its `finish` part. */
  nofinish: z.boolean().optional(),
  /** Report no usage. */
  nousage: z.boolean().optional(),
  /** Report no cost; the generation record has it. */
  nocost: z.boolean().optional(),
  /** Report `cost: "0"` with the real `marketCost`, as with free credits. */
  freecost: z.boolean().optional(),
  /** Answer as if the provider were paid directly. */
  byok: z.boolean().optional(),
  /** Another model serves the call, and is billed. */
  served: z.string().optional(),
  /** After an abort, the whole answer is billed, not only what was sent. */
  billfull: z.boolean().optional(),
  /** Milliseconds until the generation record can be read. */
  late: z.number().min(0).optional(),
  /** Length of speech, transcribed audio or video. */
  seconds: z.number().min(0).optional(),
})

/** What a call has to do. */
export type Scenario = z.infer<typeof scenarioSchema>

/** A scenario that cannot be read; answered as an invalid request, so that a typo in a test is seen. */
export class ScenarioError extends Error {}

/**
 * Reads the scenario of a call.
 *
 * @throws ScenarioError for a key or a value that does not exist
 */
export function readScenario(prompt: string, options: unknown): Scenario {
  const tagged = /\[dev:\s*(.*)$/s.exec(prompt)?.[1]
  const found = { ...(tagged === undefined ? {} : readTag(tagged)), ...asObject(options) }
  const parsed = scenarioSchema.safeParse(found)
  if (!parsed.success) throw new ScenarioError(`dev scenario: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** The prompt without its instructions, so that an answer does not repeat them. */
export function withoutTag(prompt: string): string {
  const start = prompt.indexOf('[dev:')
  if (start < 0) return prompt
  return (prompt.slice(0, start) + prompt.slice(start + '[dev:'.length + tagLength(prompt.slice(start + 5)))).trim()
}

/** Reads `key=value` and bare `key` up to the closing bracket; values may be quoted or hold JSON in parentheses. */
function readTag(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (let rest = text.trimStart(); ; ) {
    if (rest === '') throw new ScenarioError('dev scenario: the closing bracket is missing')
    if (rest.startsWith(']')) return found
    const key = /^[a-zA-Z]+/.exec(rest)?.[0]
    if (key === undefined) throw new ScenarioError(`dev scenario: cannot read "${rest.slice(0, 20)}"`)
    rest = rest.slice(key.length)
    if (!rest.startsWith('=')) found[key] = true
    else {
      const value = readValue(rest.slice(1))
      found[key] = value.value
      rest = rest.slice(1 + value.length)
    }
    rest = rest.trimStart()
  }
}

function tagLength(text: string): number {
  for (let at = 0; at < text.length; ) {
    if (text[at] === ']') return at + 1
    const value = text[at] === '=' ? readValue(text.slice(at + 1)).length : 0
    at += 1 + value
  }
  return text.length
}

function readValue(text: string): { value: unknown; length: number } {
  const quoted = /^"(?:[^"\\]|\\.)*"/s.exec(text)?.[0]
  if (quoted) return { value: JSON.parse(quoted), length: quoted.length }
  const name = /^[^\s\]()]+/.exec(text)?.[0] ?? ''
  if (text[name.length] === '(') {
    const length = name.length + closing(text.slice(name.length))
    return { value: text.slice(0, length), length }
  }
  return { value: /^-?\d+(\.\d+)?$/.test(name) ? Number(name) : name, length: name.length }
}

/** The length of a parenthesised part; parentheses inside JSON strings do not count. */
function closing(text: string): number {
  let depth = 0
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"|[()]/gs)) {
    if (match[0] === '(') depth += 1
    if (match[0] === ')') depth -= 1
    if (depth === 0 && match[0] === ')') return match.index + 1
  }
  throw new ScenarioError('dev scenario: a closing parenthesis is missing')
}

/** `weather({"city":"Rome"})` -> name and input; without parentheses the input is empty. */
export function readToolCall(text: string): { name: string; input: unknown } {
  const match = /^([\w.-]+)(?:\((.*)\))?$/s.exec(text)
  if (!match?.[1]) throw new ScenarioError(`dev scenario: tool=${text} is not name({"json":"input"})`)
  try {
    return { name: match[1], input: match[2] ? JSON.parse(match[2]) : {} }
  } catch {
    throw new ScenarioError(`dev scenario: the input of tool=${text} is not JSON`)
  }
}
