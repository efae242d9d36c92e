import type { Usage } from './usage.ts'

type Fields = Readonly<Record<string, unknown>>

/** A value inside nested objects. */
function at(source: Fields, path: readonly string[]): unknown {
  let value: unknown = source
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Fields)[key]
  }
  return value
}

/** The first of several paths that has a value. */
function first(source: Fields, paths: readonly (readonly string[])[]): unknown {
  for (const path of paths) {
    const value = at(source, path)
    if (value !== undefined && value !== null) return value
  }
  return undefined
}

const split = (...paths: string[]) => paths.map((path) => path.split('.'))

/**
 * The names that SDKs and providers have for our fields, in order of precedence. The AI SDK: `inputTokenDetails`
 * (results), `{ total, ... }` (models), `promptTokens` (version 4). Providers: OpenAI's chat and responses, and all
 * that copy them, Cohere's billed units, Google's `usageMetadata`, Ollama.
 */
const SPELLINGS: readonly (readonly [keyof Usage, readonly (readonly string[])[]])[] = [
  [
    'cacheReadTokens',
    split(
      'inputTokens.cacheRead',
      'inputTokenDetails.cacheReadTokens',
      'cachedInputTokens',
      'prompt_tokens_details.cached_tokens',
      'input_tokens_details.cached_tokens',
      'input_token_details.cached_tokens',
      'cache_read_input_tokens',
      'cacheReadInputTokens',
      'cachedContentTokenCount',
      'prompt_cache_hit_tokens',
      'cached_tokens',
    ),
  ],
  [
    'cacheReadAudioTokens',
    split(
      'input_token_details.cached_tokens_details.audio_tokens',
      'input_tokens_details.cached_tokens_details.audio_tokens',
      'prompt_tokens_details.cached_tokens_details.audio_tokens',
    ),
  ],
  [
    'cacheWriteTokens',
    split(
      'inputTokens.cacheWrite',
      'inputTokenDetails.cacheWriteTokens',
      'prompt_tokens_details.cache_write_tokens',
      'input_tokens_details.cache_write_tokens',
      'cache_creation_input_tokens',
      'cacheWriteInputTokens',
    ),
  ],
  ['cacheWrite1hTokens', split('cache_creation.ephemeral_1h_input_tokens')],
  [
    'reasoningTokens',
    split(
      'outputTokens.reasoning',
      'outputTokenDetails.reasoningTokens',
      'completion_tokens_details.reasoning_tokens',
      'output_tokens_details.reasoning_tokens',
      'thoughtsTokenCount',
      'reasoning_tokens',
    ),
  ],
  [
    'audioInputTokens',
    split(
      'prompt_tokens_details.audio_tokens',
      'input_tokens_details.audio_tokens',
      'input_token_details.audio_tokens',
      'inputAudioTokens',
    ),
  ],
  [
    'audioOutputTokens',
    split(
      'completion_tokens_details.audio_tokens',
      'output_tokens_details.audio_tokens',
      'output_token_details.audio_tokens',
      'outputAudioTokens',
    ),
  ],
  ['characters', split('inputCharacters')],
  ['webSearches', split('server_tool_use.web_search_requests')],
]

const INPUT = split(
  'inputTokens.total',
  'billed_units.input_tokens',
  'prompt_tokens',
  'promptTokens',
  'prompt_eval_count',
  'tokens.input_tokens',
)
const INPUT_WITHOUT_CACHE = split('inputTokens.noCache', 'inputTokenDetails.noCacheTokens')
const OUTPUT = split(
  'outputTokens.total',
  'billed_units.output_tokens',
  'completion_tokens',
  'completionTokens',
  'output_tokens',
  'eval_count',
  'tokens.output_tokens',
)
const OUTPUT_TEXT = split('outputTokens.text', 'outputTokenDetails.textTokens')
const TOTAL = split('totalTokens', 'total_tokens', 'totalTokenCount')

const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

/** Sums what is a number; undefined when nothing is. */
function sum(...values: unknown[]): number | undefined {
  const counts = values.filter((value) => typeof value === 'number')
  return counts.length === 0 ? undefined : counts.reduce((total, count) => total + count, 0)
}

/** Google lists tokens by modality: `[{ modality: 'AUDIO', tokenCount: 12 }]`. */
function audioOf(list: unknown): number | undefined {
  if (!Array.isArray(list)) return undefined
  const entry = (list as readonly (Fields | null)[]).find((part) => part?.modality === 'AUDIO')
  return number(entry?.tokenCount)
}

/** Amazon Bedrock lists cache writes by life: `[{ ttl: '1h', inputTokens: 12 }]`. */
function hourOf(list: unknown): number | undefined {
  if (!Array.isArray(list)) return undefined
  return number((list as readonly (Fields | null)[]).find((part) => part?.ttl === '1h')?.inputTokens)
}

/** The input as providers report it whose count leaves out the cache: Anthropic, Amazon Bedrock. */
function inputOf(source: Fields, found: ReadonlyMap<keyof Usage, unknown>): unknown {
  const cached = [found.get('cacheReadTokens'), found.get('cacheWriteTokens')]
  const direct = first(source, INPUT)
  if (direct !== undefined) return direct
  const fresh = first(source, INPUT_WITHOUT_CACHE)
  if (fresh !== undefined) return sum(fresh, ...cached)
  const { input_tokens: input, inputTokens } = source
  if ('cache_read_input_tokens' in source || 'cache_creation_input_tokens' in source) return sum(input, ...cached)
  if ('cacheReadInputTokens' in source || 'cacheWriteInputTokens' in source) return sum(inputTokens, ...cached)
  if ('promptTokenCount' in source) return sum(source.promptTokenCount, source.toolUsePromptTokenCount)
  return input ?? sum(source.inputAudioTokens, source.inputTextTokens)
}

function outputOf(source: Fields, found: ReadonlyMap<keyof Usage, unknown>): unknown {
  const direct = first(source, OUTPUT)
  if (direct !== undefined) return direct
  const text = first(source, OUTPUT_TEXT)
  if (text !== undefined) return sum(text, found.get('reasoningTokens'))
  if ('candidatesTokenCount' in source) return sum(source.candidatesTokenCount, source.thoughtsTokenCount)
  return sum(source.outputAudioTokens, source.outputTextTokens)
}

/** What a usage says in other words than ours. */
export interface SpeltUsage {
  fields: ReadonlyMap<keyof Usage, unknown>
  /** Input and output together. */
  total: unknown
  /** The input count stands for all input under a name of ours, and leaves out the cache. */
  replacesInput: boolean
}

/** Reads a usage object by the names that SDKs and providers have for its fields. Values are not checked. */
export function readSpellings(source: Fields): SpeltUsage {
  const fields = new Map<keyof Usage, unknown>()
  for (const [key, paths] of SPELLINGS) {
    const value = first(source, paths)
    if (value !== undefined) fields.set(key, value)
  }
  const extras: [keyof Usage, unknown][] = [
    ['audioInputTokens', audioOf(source.promptTokensDetails)],
    ['audioOutputTokens', audioOf(source.candidatesTokensDetails)],
    ['cacheReadAudioTokens', audioOf(source.cacheTokensDetails)],
    ['cacheWrite1hTokens', hourOf(source.cacheDetails)],
    ['inputTokens', inputOf(source, fields)],
    ['outputTokens', outputOf(source, fields)],
  ]
  for (const [key, value] of extras) if (value !== undefined && !fields.has(key)) fields.set(key, value)
  // Amazon Bedrock's own object calls its input `inputTokens`, without what was read from and written to the cache.
  const replacesInput = 'cacheReadInputTokens' in source || 'cacheWriteInputTokens' in source
  return { fields, total: first(source, TOTAL), replacesInput }
}
