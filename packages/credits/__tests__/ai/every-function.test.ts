import * as ai from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import { liveModel, producer } from './live-model.ts'
import { finish, provider, type StreamPart } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

/**
 * Every function that `ai` exports stands in one of three places: it is paid for, it is refused because it costs money
 * where no wrapper sees it, or it costs nothing. A release that adds one fails here until somebody has looked at it.
 */
type Options = Record<string, unknown>
const exported = ai as unknown as Readonly<Record<string, unknown>>

const response = { timestamp: new Date(0), modelId: 'served', headers: undefined }
const model = (modelId: string, members: object) => ({
  specificationVersion: 'v4',
  provider: 'gateway',
  modelId,
  ...members,
})
const answers = (result: object) => async () => ({ warnings: [], response, ...result })
const rates = [
  { modelId: 'a/embedding', type: 'embedding', pricing: { input: '0.00000002' } },
  { modelId: 'a/image', type: 'image', pricing: { image: '0.04' } },
  { modelId: 'a/speech', type: 'speech', pricing: { speech_input_character_cost: '0.000015' } },
  { modelId: 'a/transcription', type: 'transcription', pricing: { transcription_duration_cost_per_second: '0.0001' } },
  { modelId: 'a/translation', type: 'translation', pricing: { input: '0.000001', output: '0.000002' } },
  { modelId: 'a/reranking', type: 'reranking', pricing: { input: '0.000002' } },
  { modelId: 'a/video', type: 'video', pricing: { video_duration_pricing: [{ cost_per_second: '0.4' }] } },
]

const json: StreamPart[] = [
  { type: 'text-start', id: 't' },
  { type: 'text-delta', id: 't', delta: '{"name":"Ada"}' },
  { type: 'text-end', id: 't' },
  finish('stop', 100, 5),
]
const text = () => ({ model: provider([{ parts: json }]).model, prompt: 'x' })
const object = () => ({ ...text(), schema: z.object({ name: z.string() }) })
const embedding = model('a/embedding', {
  maxEmbeddingsPerCall: 10,
  supportsParallelCalls: true,
  doEmbed: answers({ embeddings: [[1]], usage: { tokens: 3 } }),
})
const image = model('a/image', { maxImagesPerCall: 1, doGenerate: answers({ images: ['iVBORw0KGgo='] }) })
const speech = model('a/speech', { doGenerate: answers({ audio: new Uint8Array([73, 68, 51]) }) })
const transcription = model('a/transcription', {
  doGenerate: answers({ text: 'hello', segments: [], language: 'en', durationInSeconds: 3 }),
})
const reranking = model('a/reranking', { doRerank: answers({ ranking: [{ index: 0, relevanceScore: 1 }] }) })
const video = model('a/video', {
  maxVideosPerCall: 1,
  doGenerate: answers({ videos: [{ type: 'base64', data: 'AAAA', mediaType: 'video/mp4' }] }),
  doStart: answers({ operation: { id: 'op' } }),
  doStatus: answers({ status: 'pending' }),
})
const usage = { inputTokens: 100, outputTokens: 10 }
const decision = model('openai/gpt-test', {
  supportedQuestionTypes: ['boolean'],
  doDecide: answers({ answers: { ok: { type: 'boolean', probability: 1 } }, usage }),
})
const extraction = model('openai/gpt-test', {
  supportedFieldTypes: ['text'],
  doExtract: answers({ answers: { name: { type: 'text', value: 'Ada' } }, usage }),
})
const decide = () => ({ model: decision, state: 'x', questions: { ok: { type: 'boolean', instructions: 'Is it?' } } })
const audio = () => ({ audio: producer([new Uint8Array(16_000)]).stream, inputAudioFormat: { type: 'audio/pcm' } })
const heard = (modelId: string, delta: object, last: object) =>
  liveModel(modelId, 'audio', { says: () => delta, ends: () => ({ type: 'finish', durationInSeconds: 1, ...last }) })
const inTranscript = () =>
  heard('a/transcription', { type: 'transcript-delta', delta: 'hi' }, { text: 'hi', segments: [] }).model
const translated = { sourceText: 'x', outputText: 'hi', usage: { inputAudioTokens: 10, outputTextTokens: 1 } }
const inTranslation = () => heard('a/translation', { type: 'output-text-delta', delta: 'hi' }, translated).model

/** Options of a call of each, and the stream of its result that is read, if it has one. */
const PAID: Readonly<Record<string, { options: () => Options; read?: string }>> = {
  generateText: { options: text },
  streamText: { options: text, read: 'stream' },
  experimental_streamTextLowMemory: { options: text, read: 'stream' },
  experimental_streamLanguageModelCall: { options: text, read: 'stream' },
  generateObject: { options: object },
  streamObject: { options: object, read: 'fullStream' },
  embed: { options: () => ({ model: embedding, value: 'x' }) },
  embedMany: { options: () => ({ model: embedding, values: ['x'] }) },
  generateImage: { options: () => ({ model: image, prompt: 'x' }) },
  generateSpeech: { options: () => ({ model: speech, text: 'x' }) },
  experimental_generateSpeech: { options: () => ({ model: speech, text: 'x' }) },
  experimental_streamSpeech: {
    options: () => ({ model: liveModel('a/speech', 'text').model, text: 'x' }),
    read: 'audioStream',
  },
  transcribe: { options: () => ({ model: transcription, audio: new Uint8Array(8) }) },
  experimental_transcribe: { options: () => ({ model: transcription, audio: new Uint8Array(8) }) },
  experimental_streamTranscribe: { options: () => ({ model: inTranscript(), ...audio() }), read: 'fullStream' },
  experimental_streamTranslate: {
    options: () => ({ model: inTranslation(), targetLanguage: 'de', ...audio() }),
    read: 'fullStream',
  },
  rerank: { options: () => ({ model: reranking, query: 'x', documents: ['a'] }) },
  experimental_generateVideo: { options: () => ({ model: video, prompt: 'x' }) },
  experimental_startVideo: { options: () => ({ model: video, prompt: 'x' }) },
  experimental_decide: { options: decide },
  experimental_evaluate: { options: decide },
  experimental_extract: {
    options: () => ({ model: extraction, state: 'x', fields: { name: { type: 'text', description: 'Who?' } } }),
  },
}

/** Billed by what is read hours later; or given an agent, which is what can be wrapped. */
const REFUSED = [
  'experimental_startBatch',
  'createAgentUIStream',
  'createAgentUIStreamResponse',
  'pipeAgentUIStreamToResponse',
]

const FREE = new Set(
  `addToolInputExamplesMiddleware asSchema callCompletionApi consumeStream convertDataContentToBase64String
  convertFileListToFileUIParts convertToModelMessages cosineSimilarity createDownload createGateway createIdGenerator
  createProviderRegistry createTextStreamResponse createUIMessageStream createUIMessageStreamResponse customProvider
  defaultEmbeddingSettingsMiddleware defaultInstructionsMiddleware defaultSettingsMiddleware detectToolDrift dynamicTool
  experimental_cancelBatch experimental_createProviderRegistry experimental_createSteering
  experimental_decodeRealtimeAudio experimental_encodeRealtimeAudio experimental_filterActiveTools
  experimental_getBatchResults experimental_getBatchStatus experimental_getRealtimeToolDefinitions
  experimental_getVideoStatus experimental_listBatches experimental_resampleAudio experimental_toolCaller
  extractJsonMiddleware extractReasoningMiddleware filterActiveTools fingerprintTools gateway generateId
  getChunkTimeoutMs getFirstChunkTimeoutMs getStaticToolName getStepTimeoutMs getTextFromDataUrl getToolName
  getToolOrDynamicToolName getToolTimeoutMs getTotalTimeoutMs hasToolCall isCustomContentUIPart isDataUIPart
  isDeepEqualData isDynamicToolUIPart isFileUIPart isLoopFinished isReasoningFileUIPart isReasoningUIPart
  isStaticToolUIPart isStepCount isTextUIPart isToolOutputErrorUIPart isToolUIPart jsonSchema
  lastAssistantMessageIsCompleteWithApprovalResponses lastAssistantMessageIsCompleteWithToolCalls parseJsonEventStream
  parsePartialJson pipeTextStreamToResponse pipeUIMessageStreamToResponse pruneMessages readUIMessageStream
  registerTelemetry safeValidateUIMessages safeValidateWebSocketChatTransportRequest simulateReadableStream
  simulateStreamingMiddleware smoothStream stepCountIs toTextStream toUIMessageChunk toUIMessageStream tool toolSearch
  uiMessageChunkSchema uploadFile uploadSkill validateUIMessages wrapEmbeddingModel wrapImageModel wrapLanguageModel
  wrapProvider zodSchema`.split(/\s+/),
)

const isClass = (value: unknown) => /^class\b/.test(String(value))
const functions = Object.keys(ai).filter((name) => typeof exported[name] === 'function' && !isClass(exported[name]))
const agents = Object.keys(ai).filter((name) => {
  const { prototype } = exported[name] as { prototype?: Options }
  return isClass(exported[name]) && typeof prototype?.generate === 'function' && typeof prototype.stream === 'function'
})

async function readAll(stream: unknown): Promise<void> {
  for await (const _ of stream as AsyncIterable<unknown>);
}

describe('the functions of the SDK', () => {
  it('are each known as paid, refused or free', () => {
    const known = [...Object.keys(PAID), ...REFUSED, ...FREE]
    expect(functions.filter((name) => !known.includes(name))).toEqual([])
  })

  it.each(Object.keys(PAID))('%s is reserved before and charged once', async (name) => {
    const { options, read } = PAID[name] as (typeof PAID)[string]
    const { context, trips, charges, balance, errors } = testAccount({ rates })
    const fn = exported[name] as (options: Options) => unknown
    const result = (await withCredits(fn, context)(options())) as Options
    if (read !== undefined) await readAll(result[read])
    expect(await settledReceipt(result)).toMatchObject({ closed: true, providerCalls: 1, stopped: undefined })
    expect(trips).toEqual(['reserve', 'settle'])
    expect(await charges()).toHaveLength(1)
    expect((await balance()).reserved).toBe('0')
    expect(errors).toEqual([])
  })

  it.each(Object.keys(PAID))('%s is refused before anything is called when it cannot be paid', async (name) => {
    const { context, trips, balance } = testAccount({ rates, available: '0' })
    const fn = exported[name] as (options: Options) => unknown
    const call = withCredits(fn, context)((PAID[name] as (typeof PAID)[string]).options())
    await expect(call).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402 })
    expect(trips).toEqual(['reserve'])
    expect(await balance()).toEqual({ available: '0', reserved: '0' })
  })

  it.each(REFUSED)('%s cannot be wrapped', (name) => {
    const { context } = testAccount()
    const fn = exported[name] as (options: Options) => unknown
    expect(() => withCredits(fn, context)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('the agents of the SDK', () => {
  it('are all known', () => {
    expect(agents).toEqual(['Experimental_Agent', 'ToolLoopAgent'])
  })

  it.each(['generate', 'stream'] as const)('%s is reserved before and charged once', async (method) => {
    const { context, trips, charges } = testAccount()
    const agent = withCredits(new ai.ToolLoopAgent({ model: text().model }), context)
    const result = await agent[method]({ prompt: 'x' })
    if ('stream' in result) await readAll(result.stream)
    expect(await settledReceipt(result)).toMatchObject({ closed: true, providerCalls: 1 })
    expect(trips).toEqual(['reserve', 'settle'])
    expect(await charges()).toHaveLength(1)
  })
})
