import { replyJson } from '../http/reply.ts'
import { filler } from './answer.ts'
import { begin, bill, type Call, finish, gatewayMetadata } from './call.ts'
import { embeddingOf, pictureOf, secondsOf, toneOf } from './media-data.ts'
import { withoutTag } from './scenario.ts'
import { countTokens } from './tokens.ts'

/** Sends the answer of a call that is not streamed. */
function reply(call: Call, body: Record<string, unknown>): void {
  finish(call, 'finished', 'stop')
  replyJson(call.res, 200, { ...body, warnings: [], providerMetadata: gatewayMetadata(call) })
}

/** Embeds every value. */
export async function answerEmbedding(call: Call<{ values?: string[]; dimensions?: number }>): Promise<void> {
  await begin(call)
  const values = call.body.values ?? []
  const tokens = call.scenario.input ?? values.reduce((total, value) => total + countTokens(value), 0)
  bill(call, { inputTokens: tokens })
  const embeddings = values.map((value) => embeddingOf(value, call.body.dimensions ?? 32))
  reply(call, { embeddings, ...(call.scenario.nousage ? {} : { usage: { tokens } }) })
}

interface ImageBody {
  prompt?: string
  n?: number
  size?: string
  providerOptions?: Record<string, { quality?: string }>
}

const TOKENS_PER_IMAGE = 1056

/** Paints `n` pictures; models that are priced by tokens report tokens. */
export async function answerImage(call: Call<ImageBody>): Promise<void> {
  await begin(call)
  const { prompt = '', n = 1, size, providerOptions } = call.body
  const quality = Object.values(providerOptions ?? {}).find((options) => options.quality)?.quality
  const inputTokens = call.scenario.input ?? countTokens(prompt)
  const outputTokens = call.scenario.tokens ?? n * TOKENS_PER_IMAGE
  const { pricing } = call.model
  const perImage = pricing.image !== undefined || pricing.image_dimension_quality_pricing !== undefined
  bill(call, { ...(perImage ? { images: { count: n, size, quality } } : { outputTokens }), inputTokens })
  const images = Array.from({ length: n }, (_, index) => pictureOf(withoutTag(prompt), index))
  const usage = perImage ? undefined : { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens }
  reply(call, { images, ...(usage && !call.scenario.nousage ? { usage } : {}) })
}

interface RerankBody {
  query?: string
  topN?: number
  documents?: { type: 'text' | 'object'; values: unknown[] }
}

/** Ranks by words in common with the query. */
export async function answerReranking(call: Call<RerankBody>): Promise<void> {
  await begin(call)
  const { query = '', documents, topN } = call.body
  const texts = (documents?.values ?? []).map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  const tokens = texts.reduce((total, text) => total + countTokens(text) + countTokens(query), 0)
  bill(call, { inputTokens: call.scenario.input ?? tokens })
  const words = new Set(
    withoutTag(query)
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [],
  )
  const ranking = texts
    .map((text, index) => ({ index, relevanceScore: overlap(text, words) }))
    .sort((a, b) => b.relevanceScore - a.relevanceScore || a.index - b.index)
  reply(call, { ranking: ranking.slice(0, topN ?? ranking.length) })
}

function overlap(text: string, words: Set<string>): number {
  const found = new Set((text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => words.has(word)))
  return words.size === 0 ? 0 : Number((found.size / words.size).toFixed(4))
}

const CHARACTERS_PER_SECOND = 15

/** Reads a text out as a tone of fitting length. */
export async function answerSpeech(call: Call<{ text?: string }>): Promise<void> {
  await begin(call)
  const { text = '' } = call.body
  const seconds = call.scenario.seconds ?? Math.max(1, Math.round(text.length / CHARACTERS_PER_SECOND))
  const byCharacter = call.model.pricing.speech_input_character_cost !== undefined
  const characters = [...text].length
  const tokens = {
    inputTokens: call.scenario.input ?? countTokens(text),
    outputTokens: call.scenario.tokens ?? seconds * 25,
  }
  bill(call, byCharacter ? { characters } : tokens)
  const usage = byCharacter ? { characters } : tokens
  reply(call, { audio: toneOf(seconds), ...(call.scenario.nousage ? {} : { usage }) })
}

const TOKENS_PER_AUDIO_SECOND = 10

/** Writes down an audio file, of whose words it knows only how many there may be. */
export async function answerTranscription(call: Call<{ audio?: string }>): Promise<void> {
  await begin(call)
  const durationInSeconds = call.scenario.seconds ?? secondsOf(Buffer.from(call.body.audio ?? '', 'base64'))
  const text = call.scenario.text ?? filler(Math.min(400, Math.ceil(durationInSeconds * 2.5)))
  const bySecond = call.model.pricing.transcription_duration_cost_per_second !== undefined
  const inputTokens = call.scenario.input ?? Math.ceil(durationInSeconds * TOKENS_PER_AUDIO_SECOND)
  const tokens = { inputTokens, outputTokens: countTokens(text) }
  bill(call, bySecond ? { audioSeconds: durationInSeconds } : tokens)
  const segments = [{ text, startSecond: 0, endSecond: durationInSeconds }]
  const usage = bySecond ? { seconds: durationInSeconds } : tokens
  reply(call, { text, segments, language: 'en', durationInSeconds, ...(call.scenario.nousage ? {} : { usage }) })
}

interface DecisionBody {
  stateParts?: unknown[]
  questions?: Record<string, { type: string; criteria?: Record<string, unknown> | unknown[] | null }>
}

/** Answers every question with its first option. */
export async function answerDecision(call: Call<DecisionBody>): Promise<void> {
  await begin(call)
  const { questions = {}, stateParts = [] } = call.body
  const inputTokens = call.scenario.input ?? countTokens(JSON.stringify([stateParts, questions]))
  const outputTokens = call.scenario.tokens ?? Object.keys(questions).length
  bill(call, { inputTokens, outputTokens })
  const answers = Object.fromEntries(Object.entries(questions).map(([name, question]) => [name, decide(question)]))
  reply(call, {
    answers,
    model: call.entry.served,
    ...(call.scenario.nousage ? {} : { usage: { inputTokens, outputTokens } }),
  })
}

function decide(question: NonNullable<DecisionBody['questions']>[string]): Record<string, unknown> {
  if (question.type === 'choice') return { type: 'choice', choice: Object.keys(question.criteria ?? {})[0] ?? '' }
  if (question.type === 'score') return { type: 'score', score: 0 }
  return question.type === 'boolean' ? { type: 'boolean', probability: 0.9 } : { type: 'refusal' }
}
