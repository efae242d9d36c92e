import { writeSync } from 'node:fs'
import { embedMany, experimental_streamSpeech, generateText, streamText } from 'ai'
import { MockEmbeddingModelV4 } from 'ai/test'
import { withCredits } from '../../src/ai/index.ts'
import { type Live, liveModel, producer } from './live-model.ts'
import { fatal, finish, provider, sleep, textParts } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

/** Run by outages.test.ts as a process of its own: makes every kind of call, then has to come to an end by itself. */
globalThis.AI_SDK_LOG_WARNINGS = false
let rejections = 0
process.on('unhandledRejection', () => rejections++)

const rates = [
  { modelId: 'openai/embed', type: 'embedding', pricing: { input: '0.00000002' } },
  { modelId: 'openai/speech', type: 'speech', pricing: { speech_input_character_cost: '0.000015' } },
]
const { context, store, balance } = testAccount({
  rates,
  context: { abandoned: { policy: 'cancel', idleSeconds: 0.2 } },
})
// A store that takes its time: what is not handled while it is waited for is an unhandled rejection.
const { settle } = store
store.settle = (input) => sleep(5).then(() => settle(input))
const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const ignore = { onError: () => undefined }
const stream = withCredits(streamText, context)

await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'x' })
await (await stream({ model: provider([answer]).model, prompt: 'x' })).consumeStream()
await withCredits(generateText, context)({ model: provider([{ rejects: fatal() }]).model, prompt: 'x' }).catch(() => 0)

const neverRead = await stream({ model: provider([answer]).model, prompt: 'x' })
const brokenOff = await stream({ model: provider([answer]).model, prompt: 'x' })
for await (const _ of brokenOff.textStream) break
const broken = await stream({ model: provider([{ ...answer, breaksAt: 100 }]).model, prompt: 'x', ...ignore })
await broken.consumeStream(ignore)
const aborted = new AbortController()
const abortedStream = await stream({ model: provider([answer]).model, prompt: 'x', abortSignal: aborted.signal })
for await (const _ of abortedStream.textStream) aborted.abort()
const refused = { ...context, userId: crypto.randomUUID() }
await withCredits(streamText, refused)({ model: provider([answer]).model, prompt: 'x' }).catch(() => 0)

let calls = 0
const embedding = new MockEmbeddingModelV4({
  provider: 'gateway',
  modelId: 'openai/embed',
  maxEmbeddingsPerCall: 1,
  supportsParallelCalls: true,
  doEmbed: async () => {
    if (++calls === 1) throw fatal()
    await sleep(50)
    return { embeddings: [[1]], usage: { tokens: 10 }, warnings: [] }
  },
})
await withCredits(embedMany, context)({ model: embedding, values: ['a', 'b'], maxRetries: 0 }).catch(() => 0)

const speak = (live: Live = {}, options: object = {}) => {
  const text = producer(Array.from({ length: 50 }, () => 'hello '))
  const call = { model: liveModel('openai/speech', 'text', live).model, text: text.stream, ...ignore, ...options }
  return withCredits(experimental_streamSpeech, context)(call as never)
}
const hear = (result: Awaited<ReturnType<typeof speak>>) => {
  const reader = result.audioStream.getReader()
  return reader.read().then(() => reader)
}
const drain = async ({ audioStream }: Awaited<ReturnType<typeof speak>>) => {
  for await (const _ of audioStream);
}
const heard = await speak()
await drain(heard)
const neverHeard = await speak()
const hungUp = await speak()
await (await hear(hungUp)).cancel()
const interrupted = new AbortController()
const interruptedSpeech = await speak({}, { abortSignal: interrupted.signal })
await hear(interruptedSpeech)
await sleep(10)
interrupted.abort()
const brokenSpeech = await speak({ breaksAfter: 3 })
await drain(brokenSpeech).catch(() => 0)
const refusedSpeech = await speak({ refuses: fatal() })
await drain(refusedSpeech).catch(() => 0)
const speeches = [heard, neverHeard, hungUp, interruptedSpeech, brokenSpeech, refusedSpeech]

await Promise.all(speeches.map(settledReceipt))
await Promise.all([neverRead, brokenOff, broken, abortedStream].map(settledReceipt))
await sleep(100)
const { reserved } = await balance()
const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
const doneAt = Date.now()
process.on('exit', () => {
  writeSync(1, JSON.stringify({ timers, rejections, reserved, exitedAfterMs: Date.now() - doneAt }))
})
