import * as ai from 'ai'
import type { AnyModel, Delivery, Modality } from './types.ts'

/** What the wrapper has to know about a call function. */
export interface FunctionKind {
  modality: Modality
  delivery: Delivery
  /** Runs steps until the model calls no more tools. */
  loops: boolean
  /** It calls its provider once and does not repeat a call that failed. */
  unrepeated?: boolean
  /** It keeps nothing for later readers, unless it is given certain callbacks. */
  lean?: boolean
  /** A function of the app around a model. Its result may be a stream. */
  own?: boolean
}

/** Options of a call function, as far as they are read here. */
export interface FunctionOptions {
  model?: unknown
  tools?: unknown
  maxRetries?: unknown
  streamRetries?: unknown
  abortSignal?: AbortSignal | undefined
  prepareStep?: unknown
  stopWhen?: unknown
  telemetry?: unknown
  experimental_telemetry?: unknown
  readonly [option: string]: unknown
}

const text = (delivery: Delivery): FunctionKind => ({ modality: 'language', delivery, loops: true })
const once = (modality: Modality, delivery: Delivery = 'whole'): FunctionKind => ({
  modality,
  delivery,
  loops: false,
})

// Read by name from the namespace: a release of `ai` that renames an experimental function must not break the
// import of this module.
const exported = ai as unknown as Readonly<Record<string, unknown>>
const NAMED: Readonly<Record<string, FunctionKind>> = {
  generateText: text('whole'),
  streamText: text('stream'),
  experimental_streamTextLowMemory: { ...text('stream'), lean: true },
  experimental_streamLanguageModelCall: { ...once('language', 'stream'), unrepeated: true },
  generateObject: once('language'),
  streamObject: once('language', 'stream'),
  embed: once('embedding'),
  embedMany: once('embedding'),
  generateImage: once('image'),
  experimental_generateImage: once('image'),
  generateSpeech: once('speech'),
  experimental_generateSpeech: once('speech'),
  transcribe: once('transcription'),
  experimental_transcribe: once('transcription'),
  experimental_streamSpeech: { ...once('speech', 'stream'), unrepeated: true },
  experimental_streamTranscribe: { ...once('transcription', 'stream'), unrepeated: true },
  experimental_streamTranslate: { ...once('translation', 'stream'), unrepeated: true },
  rerank: once('reranking'),
  experimental_generateVideo: once('video'),
  experimental_startVideo: once('video'),
  experimental_decide: once('decision'),
  experimental_evaluate: once('decision'),
  experimental_extract: once('extraction'),
}

const WRAP_THE_AGENT = 'it runs an agent: wrap the agent'
/** Functions that cost money where a wrapper around them does not see it, and what to do instead. */
const UNSEEN: Readonly<Record<string, string>> = {
  experimental_startBatch:
    'the cost of a batch is known when its results are read: reserve when it starts and settle then',
  createAgentUIStream: WRAP_THE_AGENT,
  createAgentUIStreamResponse: WRAP_THE_AGENT,
  pipeAgentUIStreamToResponse: WRAP_THE_AGENT,
}

const KINDS = byFunction(NAMED)
const REASONS = byFunction(UNSEEN)

function byFunction<Value>(named: Readonly<Record<string, Value>>): ReadonlyMap<unknown, Value> {
  const map = new Map<unknown, Value>()
  for (const [name, value] of Object.entries(named)) {
    const fn = exported[name]
    if (typeof fn === 'function' && !map.has(fn)) map.set(fn, value)
  }
  return map
}

/** Why a function cannot be wrapped. Undefined for one that can. */
export function whyUnseen(fn: unknown): string | undefined {
  return REASONS.get(fn)
}

/**
 * The kind of a call function of the SDK, by identity or by name: an app may have a second copy of `ai`. Any other
 * function counts as the app's own, around a model.
 */
export function kindOf(fn: { name: string }): FunctionKind {
  const named = Object.hasOwn(NAMED, fn.name) ? NAMED[fn.name] : undefined
  return KINDS.get(fn) ?? named ?? { ...once('language'), own: true }
}

/** Whether the options let a model call tools. Only then can there be a second step. */
export function hasTools({ tools }: FunctionOptions): boolean {
  return typeof tools === 'object' && tools !== null && Object.keys(tools).length > 0
}

/** True for a result whose parts arrive later: a stream, a response, or an object that has one. */
export function isStreamResult(result: unknown): boolean {
  if (typeof result !== 'object' || result === null) return false
  if (result instanceof ReadableStream || Symbol.asyncIterator in result) return true
  return ['stream', 'textStream', 'fullStream', 'body'].some((name) => isReadable(result, name))
}

function isReadable(result: object, name: string): boolean {
  if (!(name in result)) return false
  // A getter of the SDK's result hands out a branch of the stream, which would then have to be read.
  const own = Object.getOwnPropertyDescriptor(result, name)
  return own?.value === undefined || own.value instanceof ReadableStream
}

const FACTORIES: Readonly<Record<Modality, readonly string[]>> = {
  language: ['languageModel'],
  embedding: ['embeddingModel', 'textEmbeddingModel'],
  image: ['imageModel'],
  speech: ['speechModel'],
  transcription: ['transcriptionModel'],
  translation: ['speechTranslationModel'],
  reranking: ['rerankingModel'],
  video: ['videoModel'],
  decision: ['decisionModel', 'evaluationModel'],
  extraction: ['extractionModel'],
}

/** True for anything that can be metered: an object with a provider and a model id. */
export function isModel(value: unknown): value is AnyModel {
  return typeof value === 'object' && value !== null && 'modelId' in value && 'provider' in value
}

/**
 * Resolves a string id the way the SDK does: through `globalThis.AI_SDK_DEFAULT_PROVIDER`, else the gateway.
 * @returns undefined when there is nothing to meter. The SDK then reports the mistake.
 */
export function resolveModel(model: unknown, modality: Modality): AnyModel | undefined {
  if (isModel(model)) return model
  if (typeof model !== 'string') return undefined
  const provider = (globalThis.AI_SDK_DEFAULT_PROVIDER ?? ai.gateway) as unknown as Readonly<Record<string, unknown>>
  const name = FACTORIES[modality].find((factory) => typeof provider[factory] === 'function')
  if (name === undefined) return undefined
  const made: unknown = (provider[name] as (id: string) => unknown).call(provider, model)
  return isModel(made) ? made : undefined
}

/** JSON schema of a zod, standard or plain schema, as the provider will get it. */
export async function jsonSchemaOf(schema: unknown): Promise<unknown> {
  if (schema === undefined || schema === null) return undefined
  return ai.asSchema(schema as Parameters<typeof ai.asSchema>[0]).jsonSchema
}
