import { CreditError } from '../../core/errors.ts'
import { boundInputTokens, boundTextTokens, type InputToBound } from '../../core/pricing/input-bound.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallContext } from '../types.ts'
import { type BoundInput, type LooseParams, pricedPerPicture, providerOption, type UsageBound } from './bound.ts'
import { isSearch, likelyTokens, PICTURE_TOKENS, safeCount } from './tokens.ts'

/** Searches of a provider's own tool, when the tool does not say how many it may make. */
const SEARCHES_PER_TOOL = 5
/** A tokenizer other than the provider's may count this much too little. */
const LIKELY_MARGIN = 1.15
/** The budget that Anthropic's package sets where the app sets none. */
const DEFAULT_THINKING_TOKENS = 1_024
/** The chat template around a short prompt. */
const LIKELY_OVERHEAD = 16
/** What files probably come to, of the bound of their tokens. */
const LIKELY_FILE_SHARE = 0.5
/** A file of unknown size, when its call was lost: about ten pages. */
const UNKNOWN_FILE_TOKENS = 20_000

/** The bound of a language model's call. */
export function languageBound({ params, context, model, pricing }: BoundInput): UsageBound {
  const { maxOutputTokens } = params
  const input = { prompt: withImageFiles(params.prompt), tools: params.tools, responseFormat: params.responseFormat }
  const perPicture = pricedPerPicture(pricing)
  const asked = askedUsage(params)
  const usage: Usage = { ...asked, webSearches: searchesOf(params), images: perPicture ? 1 : undefined }
  const countText = context.countTokens && safeCount(context.countTokens, boundTextTokens)
  const contextWindow = pricing.rate?.contextWindow
  const inputTokens = boundInputTokens(input, { contextWindow, ...context.inputBound, countText })
  const files = filesOf(input, context)
  const text = likelyText(input, context)
  return {
    inputTokens,
    // A file of unknown size may fill the whole context window, so such a call must be able to pay for that.
    leastInputTokens:
      files === undefined
        ? inputTokens
        : Math.min(inputTokens, Math.ceil(text * LIKELY_MARGIN + files) + LIKELY_OVERHEAD),
    maxOutputTokens: typeof maxOutputTokens === 'number' ? maxOutputTokens : undefined,
    thinkingTokens: thinkingTokens(params),
    takesLimit: true,
    usage: unlessEmpty(usage),
    leastUsage: unlessEmpty({ ...asked, images: usage.images }),
    cacheWrite: writesNoCache(model, params) ? 'none' : '1h',
    likelyUsage: (seen) => ({
      ...asked,
      inputTokens: Math.min(inputTokens, text + (files ?? UNKNOWN_FILE_TOKENS)),
      outputTokens: seen.tokens + (perPicture ? 0 : seen.files * PICTURE_TOKENS),
      ...(perPicture && seen.files > 0 && { images: seen.files }),
      ...(seen.searches > 0 && { webSearches: seen.searches }),
    }),
  }
}

// A call that says nothing special is priced from bands that are compared once.
function unlessEmpty(usage: Usage): Usage | undefined {
  return Object.values(usage).some((value) => value !== undefined) ? usage : undefined
}

/** The text of a call, as it probably is. */
function likelyText(input: InputToBound, { countTokens }: CallContext): number {
  const prompt = Array.isArray(input.prompt) ? input.prompt.map(withoutFiles) : input.prompt
  return boundInputTokens(
    { ...input, prompt },
    { countText: safeCount(countTokens, likelyTokens), perMessage: 4, perCall: 0, perCallWithTools: 100 },
  )
}

/** The files of a call, as they probably are; undefined where the size of one is not known. */
function filesOf({ prompt }: InputToBound, { inputBound }: CallContext): number | undefined {
  const filesAlone = { countText: () => 0, perMessage: 0, perCall: 0, unknownFiles: 'refuse' } as const
  try {
    return Math.ceil(boundInputTokens({ prompt }, { ...inputBound, ...filesAlone }) * LIKELY_FILE_SHARE)
  } catch (error) {
    if (CreditError.isInstance(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

function withoutFiles(message: LooseMessage): LooseMessage {
  if (!Array.isArray(message.content)) return message
  return {
    ...message,
    content: message.content.filter((part: LoosePart | null) => !isFile(part)).map(withoutInnerFiles),
  }
}

function isFile(part: LoosePart | null): boolean {
  return /^image|file|media/.test(String(part?.type))
}

function withoutInnerFiles(part: LoosePart | null): unknown {
  const value = part?.output?.value
  return Array.isArray(value)
    ? { ...part, output: { ...part?.output, value: value.filter((one) => !isFile(one)) } }
    : part
}

/** The provider tools of a call: the name that a tool call carries, and the id of the tool. */
export function providerTools({ tools }: LooseParams): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  if (!Array.isArray(tools)) return found
  for (const tool of tools as ReadonlyArray<{ type?: unknown; id?: unknown; name?: unknown }>) {
    if (tool.type === 'provider') found.set(String(tool.name ?? tool.id), String(tool.id))
  }
  return found
}

/** What the options ask for that changes the price: tier, region, speed. */
export function askedUsage(params: LooseParams): Usage {
  const tier = providerOption(params, 'serviceTier')
  const region = providerOption(params, 'inferenceGeo')
  return {
    ...(tier !== undefined && { serviceTier: tier }),
    ...(region !== undefined && region !== 'global' && { region }),
    ...(providerOption(params, 'speed') === 'fast' && { fast: true }),
  }
}

/** Anthropic's packages add the thinking budget to `maxOutputTokens`, those for Vertex and Bedrock too. */
function thinkingTokens({ providerOptions }: LooseParams): number {
  if (typeof providerOptions !== 'object' || providerOptions === null) return 0
  for (const options of Object.values(providerOptions) as readonly (ThinkingOptions | null)[]) {
    const thinking = options?.thinking ?? options?.reasoningConfig
    if (thinking?.type !== 'enabled') continue
    return typeof thinking.budgetTokens === 'number' ? thinking.budgetTokens : DEFAULT_THINKING_TOKENS
  }
  return 0
}

interface Thinking {
  type?: unknown
  budgetTokens?: unknown
}

interface ThinkingOptions {
  thinking?: Thinking
  reasoningConfig?: Thinking
}

function searchesOf({ tools, providerOptions }: LooseParams): number | undefined {
  let searches = searchParameters(providerOptions) ? SEARCHES_PER_TOOL : 0
  if (Array.isArray(tools)) {
    for (const tool of tools as ReadonlyArray<{ type?: unknown; id?: unknown; args?: { maxUses?: unknown } }>) {
      if (tool.type !== 'provider' || !isSearch(String(tool.id))) continue
      const most = tool.args?.maxUses
      searches += Number.isSafeInteger(most) ? Number(most) : SEARCHES_PER_TOOL
    }
  }
  return searches === 0 ? undefined : searches
}

/** xAI and Google search by an option, without a tool. */
function searchParameters(providerOptions: unknown): boolean {
  if (typeof providerOptions !== 'object' || providerOptions === null) return false
  return Object.values(providerOptions).some(
    (options: { searchParameters?: unknown; useSearchGrounding?: unknown } | null) =>
      options?.searchParameters !== undefined || options?.useSearchGrounding === true,
  )
}

// Anthropic writes a cache only where it is asked to. Others may do so by themselves, at a price.
function writesNoCache(model: string, params: LooseParams): boolean {
  if (!model.startsWith('anthropic/')) return false
  return !mentionsCache(params.providerOptions) && !mentionsCache(params.tools) && !promptMentionsCache(params.prompt)
}

function promptMentionsCache(prompt: unknown): boolean {
  if (!Array.isArray(prompt)) return false
  return prompt.some((message: { providerOptions?: unknown; content?: unknown }) => {
    if (mentionsCache(message.providerOptions)) return true
    if (!Array.isArray(message.content)) return false
    return message.content.some((part: { providerOptions?: unknown }) => mentionsCache(part.providerOptions))
  })
}

function mentionsCache(options: unknown): boolean {
  return options !== undefined && /cach/i.test(JSON.stringify(options) ?? '')
}

interface LooseMessage {
  role?: unknown
  content?: unknown
}

interface LoosePart {
  type?: unknown
  output?: { type?: unknown; value?: unknown }
}

/** The prompt with pictures in tool results as files: `image-data` is a deprecated name that the SDK still accepts. */
function withImageFiles(prompt: unknown): unknown {
  if (!Array.isArray(prompt)) return prompt
  return prompt.map((message: LooseMessage) => {
    if (!Array.isArray(message.content) || !message.content.some(hasImageData)) return message
    return { ...message, content: message.content.map((part) => (hasImageData(part) ? withFiles(part) : part)) }
  })
}

function isImageData(value: unknown): boolean {
  return typeof value === 'object' && value !== null && /^image-/.test(String((value as LoosePart).type))
}

function hasImageData(part: LoosePart | null): part is LoosePart & { output: { value: unknown[] } } {
  const value = part?.output?.value
  return part?.type === 'tool-result' && Array.isArray(value) && value.some(isImageData)
}

function withFiles(part: LoosePart & { output: { value: unknown[] } }): unknown {
  const value = part.output.value.map((entry) =>
    isImageData(entry) ? { mediaType: 'image/*', ...(entry as object), type: 'file' } : entry,
  )
  return { ...part, output: { ...part.output, value } }
}
