import { filler, thoughts, writeAnswer } from './answer.ts'
import type { Call } from './call.ts'
import type { Units } from './pricing.ts'
import { countPrompt, lastQuestion, type Message, stepsTaken } from './prompt.ts'
import { readToolCall } from './scenario.ts'
import { sampleOf } from './schema-sample.ts'
import { tokenize } from './tokens.ts'

/** The body of a language call. */
export interface LanguageBody {
  prompt?: Message[]
  tools?: { type: string; name?: string; inputSchema?: Record<string, unknown> }[]
  toolChoice?: { type: string; toolName?: string }
  responseFormat?: { type: string; schema?: Record<string, unknown> }
  maxOutputTokens?: number
  providerOptions?: Record<string, Record<string, unknown>>
}

/** What the model will say, before it says it. */
export interface LanguagePlan {
  reasoning: string[]
  /** The answer, token by token; empty when a tool is called. */
  text: string[]
  tool: { name: string; input: string } | undefined
  finishReason: string
  inputTokens: number
}

/** Decides what to say. */
export function planAnswer(call: Call<LanguageBody>): LanguagePlan {
  const { body, scenario } = call
  const limit = body.maxOutputTokens ?? Number.POSITIVE_INFINITY
  const reasoning = tokenize(scenario.reasoning ? thoughts(scenario.reasoning) : '').slice(0, limit)
  const tool = toolCall(call)
  const text = tool ? [] : tokenize(answerText(call))
  const kept = text.slice(0, Math.max(0, limit - reasoning.length))
  const cut = kept.length < text.length
  const finishReason = scenario.finish ?? (tool ? 'tool-calls' : cut ? 'length' : 'stop')
  const inputTokens = scenario.input ?? Math.max(countPrompt(body), (scenario.cached ?? 0) + (scenario.cacheWrite ?? 0))
  return { reasoning, text: kept, tool, finishReason, inputTokens }
}

function toolCall(call: Call<LanguageBody>): LanguagePlan['tool'] {
  const { body, scenario } = call
  const taken = stepsTaken(body.prompt ?? [])
  if (scenario.tool !== undefined) {
    if (taken >= (scenario.toolSteps ?? 1)) return undefined
    const { name, input } = readToolCall(scenario.tool)
    return { name, input: JSON.stringify(input) }
  }
  const forced = body.toolChoice?.type
  if (taken > 0 || (forced !== 'required' && forced !== 'tool' && !asksForTool(body))) return undefined
  const wanted = body.tools?.find((tool) => forced !== 'tool' || tool.name === body.toolChoice?.toolName)
  if (!wanted?.name) return undefined
  return { name: wanted.name, input: JSON.stringify(sampleOf(wanted.inputSchema ?? {})) }
}

/** A question that names a tool is answered with it, so that tools can be tried without a script. */
function asksForTool(body: LanguageBody): boolean {
  const name = body.tools?.[0]?.name
  if (name === undefined || body.toolChoice?.type === 'none') return false
  return lastQuestion(body.prompt ?? [])
    .toLowerCase()
    .includes(name.toLowerCase())
}

function answerText(call: Call<LanguageBody>): string {
  const { body, scenario } = call
  if (scenario.text !== undefined) return scenario.text
  if (body.responseFormat?.type === 'json') return JSON.stringify(sampleOf(body.responseFormat.schema ?? {}))
  if (scenario.tokens !== undefined) return filler(scenario.tokens)
  return writeAnswer(body.prompt ?? [], call.entry.served)
}

/** What is billed after `sent` tokens of the answer. */
export function unitsOf(call: Call, plan: LanguagePlan, sent: { reasoning: number; text: number }): Units {
  const { cached = 0, cacheWrite = 0 } = call.scenario
  const toolTokens = plan.tool ? tokenize(plan.tool.name + plan.tool.input).length : 0
  const cache = {
    ...(cached ? { cacheReadTokens: cached } : {}),
    ...(cacheWrite ? { cacheWriteTokens: cacheWrite } : {}),
  }
  return { inputTokens: plan.inputTokens, outputTokens: sent.reasoning + sent.text + toolTokens, ...cache }
}

/** Usage as the model protocol reports it. */
export function usageOf(call: Call): Record<string, unknown> {
  const { units, reasoningTokens } = call.entry
  const input = units.inputTokens ?? 0
  const read = units.cacheReadTokens ?? 0
  const write = units.cacheWriteTokens ?? 0
  const output = units.outputTokens ?? 0
  return {
    inputTokens: { total: input, noCache: input - read - write, cacheRead: read, cacheWrite: write },
    outputTokens: { total: output, text: output - reasoningTokens, reasoning: reasoningTokens },
  }
}
