import * as ai from 'ai'

/** What a call function or a model method works on; decides how a call is counted and priced. */
export type Modality =
  | 'language'
  | 'embedding'
  | 'image'
  | 'speech'
  | 'transcription'
  | 'translation'
  | 'reranking'
  | 'video'
  | 'decision'
  | 'extraction'

/** How a call function answers: with a promise of the result, or with a result whose parts arrive later. */
export type Delivery = 'promise' | 'stream'

/** What the wrapper has to know about a call function. */
export interface FunctionKind {
  modality: Modality
  delivery: Delivery
  /** Runs steps until the model calls no more tools. */
  loops: boolean
  /** Calls its provider once, whatever becomes of it. */
  unrepeated?: boolean
  /** Keeps nothing for later readers, so callbacks that make it keep content are added only where they must be. */
  lean?: boolean
}

const text = (delivery: Delivery): FunctionKind => ({ modality: 'language', delivery, loops: true })
const once = (modality: Modality, delivery: Delivery = 'promise'): FunctionKind => ({
  modality,
  delivery,
  loops: false,
})

// Read by name from the namespace: a release of `ai` that renames an experimental function must not break the
// import of this module.
const exported = ai as unknown as Readonly<Record<string, unknown>>
const NAMED: Readonly<Record<string, FunctionKind>> = {
  generateText: text('promise'),
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

const WRAP_THE_AGENT = 'it runs the agent that it is given; wrap that'
/** Functions that cost money where no wrapper around them sees it, and what to do instead. */
const UNSEEN: Readonly<Record<string, string>> = {
  experimental_startBatch: 'what a batch costs is known when its results are read; reserve for it, and settle then',
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

/** Why a function cannot be wrapped; undefined for one that can. */
export function whyUnseen(fn: unknown): string | undefined {
  return REASONS.get(fn)
}

/**
 * The kind of a call function of the SDK. One that is not known (the app's own, around a model) is taken for a
 * function that answers with a promise; its modality is read off the model.
 */
export function kindOf(fn: unknown): FunctionKind {
  return KINDS.get(fn) ?? { ...text('promise'), loops: false }
}

/** A model of any specification version and modality, as far as it is looked at here. */
export interface AnyModel {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
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
 * @returns undefined when there is nothing to meter; the SDK then reports the mistake in its own words
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
