import { generateText, isLoopFinished, streamText, tool, toUIMessageStream } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import {
  type Behaviour,
  fatal,
  finish,
  provider,
  retryable,
  type StreamPart,
  textParts,
  toolCall,
} from './scripted-model.ts'
import { testAccount } from './test-account.ts'

/**
 * With a store of endless credits, a wrapped function is the bare one: the same results, parts, callbacks and errors
 * in the same order, and the same options reach the provider. The gateway alone gets one more: the reservation's tag.
 */
const LENGTH = 500
const tools = { look: tool({ inputSchema: z.object({}), execute: async () => 'seen' }) }
const looking = {
  parts: [...textParts(LENGTH, 'a'), toolCall('a', 'look'), finish('tool-calls' as const, 100, LENGTH)],
}
const answer = { parts: [...textParts(LENGTH), finish('stop' as const, 100, LENGTH)] }
const withError: StreamPart[] = [...textParts(LENGTH), { type: 'error', error: new Error('late') }]
const loop = { tools, stopWhen: isLoopFinished() }

const CALLBACKS = [
  'onStart',
  'onStepStart',
  'onLanguageModelCallStart',
  'onLanguageModelCallEnd',
  'onToolExecutionStart',
  'onToolExecutionEnd',
  'onStepEnd',
  'onStepError',
  'onEnd',
  'onAbort',
  'onError',
] as const
const OLD_NAMES: Readonly<Record<string, string>> = { onEnd: 'onFinish', onStepEnd: 'onStepFinish' }

function observed(log: string[], oldNames: boolean) {
  const callback = (name: string) => [
    oldNames ? (OLD_NAMES[name] ?? name) : name,
    (event: unknown) => void log.push(`${name} ${comparable(event)}`),
  ]
  return Object.fromEntries(CALLBACKS.map(callback)) as Record<string, (event: unknown) => void>
}

// Differ from run to run, wrapped or not.
const VARIABLE = new Set(['timestamp', 'performance', 'callId', 'toolExecutionMs', 'stack', 'messageId', 'abortSignal'])
const TAG_ALONE = /^\{"gateway":\{"tags":\["credits:[0-9a-f-]{36}"\]\}\}$/
const comparable = (value: unknown): string =>
  JSON.stringify(value, (key, entry) => {
    if (VARIABLE.has(key)) return undefined
    if (key === 'providerOptions' && TAG_ALONE.test(JSON.stringify(entry))) return undefined
    if (entry instanceof Error) return `${entry.name}: ${entry.message}`
    return typeof entry === 'string' ? entry.replace(/aitxt-\w+|msg-\w+/g, 'id') : entry
  }) ?? 'undefined'

interface Scenario {
  script: Behaviour[]
  options?: object
  stopAfter?: number
  oldNames?: boolean
}

const scenarios: [string, Scenario][] = [
  ['one answer', { script: [answer] }],
  ['a loop of three steps', { script: [looking, looking, answer], options: loop }],
  ['a loop with the old names of callbacks', { script: [looking, answer], options: loop, oldNames: true }],
  ['two refusals before the answer', { script: [{ rejects: retryable() }, { rejects: retryable() }, answer] }],
  ['a rejection', { script: [{ rejects: fatal() }] }],
  ['a rejection in the second step', { script: [looking, { rejects: fatal() }], options: loop }],
  ['an error part', { script: [{ parts: withError }] }],
  ['an error part in the second step', { script: [looking, { parts: withError }], options: loop }],
  ['a stream that breaks', { script: [{ ...answer, breaksAt: 200 }] }],
  ['a stream without a finish', { script: [{ parts: textParts(LENGTH) }] }],
  ['a stream that is tried again', { script: [{ parts: withError }, answer], options: { streamRetries: 1 } }],
  ['an abort in the middle', { script: [answer], stopAfter: 100 }],
  ['an abort in the second step', { script: [looking, answer], options: loop, stopAfter: LENGTH + 100 }],
  ['limits and settings', { script: [answer], options: { maxOutputTokens: 900, temperature: 0.5, seed: 7 } }],
  [
    'settings per step',
    {
      script: [looking, answer],
      options: { ...loop, prepareStep: () => ({ toolChoice: 'auto', maxOutputTokens: 800 }) },
    },
  ],
]

async function streamed(wrap: boolean, { script, options, stopAfter, oldNames = false }: Scenario): Promise<string[]> {
  const log: string[] = []
  const { model } = provider(script)
  const controller = new AbortController()
  const fn = (
    wrap ? withCredits(streamText, testAccount({ available: '99999999' }).context) : streamText
  ) as typeof streamText
  // Between the callbacks and the reader lie buffers: how the two interleave changes with any promise more.
  const parts: string[] = []
  const result = await fn({
    model,
    prompt: 'Hello',
    ...observed(log, oldNames),
    abortSignal: controller.signal,
    ...options,
  })
  let deltas = 0
  try {
    for await (const part of toUIMessageStream({ stream: result.stream })) {
      parts.push(`part ${comparable(part)}`)
      if (part.type === 'text-delta' && ++deltas === stopAfter) controller.abort()
    }
  } catch (error) {
    parts.push(`thrown ${String(error)}`)
  }
  log.push(...parts)
  // A cancelled provider may have been read a part further in one run than in the other.
  if (stopAfter !== undefined) return log.filter((line) => !line.startsWith('part {"type":"text-delta'))
  for (const name of ['text', 'usage', 'finishReason', 'steps', 'providerMetadata', 'response'] as const) {
    log.push(await result[name].then(comparable, String))
  }
  log.push(...model.doStreamCalls.map(comparable))
  return log
}

async function generated(wrap: boolean, { script, options, oldNames = false }: Scenario): Promise<string[]> {
  const log: string[] = []
  const { model } = provider(script)
  const fn = (
    wrap ? withCredits(generateText, testAccount({ available: '99999999' }).context) : generateText
  ) as typeof generateText
  const { onError: _, onAbort: __, ...callbacks } = observed(log, oldNames)
  try {
    const { text, usage, finishReason, steps, providerMetadata, response } = await fn({
      model,
      prompt: 'Hello',
      ...callbacks,
      ...options,
    })
    log.push(comparable({ text, usage, finishReason, steps, providerMetadata, response }))
  } catch (error) {
    log.push(`thrown ${String(error)}`)
  }
  log.push(...model.doGenerateCalls.map(comparable))
  return log
}

describe('streamText behaves exactly as without the wrapper', () => {
  it.each(scenarios)('%s', async (_, scenario) => {
    const bare = await streamed(false, scenario)
    expect(bare.length).toBeGreaterThan(3)
    expect(await streamed(true, scenario)).toEqual(bare)
  })
})

describe('generateText behaves exactly as without the wrapper', () => {
  const whole = scenarios.filter(
    ([, { stopAfter, options }]) => stopAfter === undefined && !('streamRetries' in (options ?? {})),
  )
  it.each(whole)('%s', async (_, scenario) => {
    const bare = await generated(false, scenario)
    expect(bare.length).toBeGreaterThan(1)
    expect(await generated(true, scenario)).toEqual(bare)
  })
})
