import { boundInputTokens } from '../core/pricing/input-bound.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { CreditsContext } from './context.ts'
import type { Extent } from './demand-audio.ts'
import { mediaDemand } from './demand-media.ts'
import type { Inflow } from './inflow.ts'
import type { Modality } from './sdk.ts'
import { likelyTokens } from './tokens.ts'

/** Options of a provider call, whatever the modality. */
export type CallParams = Readonly<Record<string, unknown>>

/** What a provider call may use: the bound to hold for, and what it will probably be. */
export interface Demand {
  /** Upper bound of the input, in tokens. */
  inputTokens: number
  /** What the call itself allows; undefined: not said. */
  maxOutputTokens: number | undefined
  /** The call takes `maxOutputTokens`, so it can be clamped to what the user can pay. */
  clampable: boolean
  /** Counted beforehand: images, seconds, characters, searches, tier. */
  usage: Usage | undefined
  /** The least to hold for, where the bound is a guess (the length of an audio file). Default: `usage`. */
  leastUsage?: Usage | undefined
  cacheWrite: 'none' | '1h'
  /** What the bound is for, where it is for so much of something spoken. */
  extent?: Extent | undefined
  /** Where the input arrives while the provider works; the bound is only for the beginning of it. */
  inflow?: Inflow | undefined
  /** The demand of such an input that has come to so much. */
  grown?: ((amount: number) => Demand) | undefined
  /** What to charge for when the provider's own count was lost. Called only then. */
  likely(outputTokens: number): Usage
}

/** Reads a call's demand off its options. */
export function demandOf(context: CreditsContext, modality: Modality, modelId: string, params: CallParams): Demand {
  return modality === 'language'
    ? languageDemand(context, modelId, params)
    : mediaDemand(context, modality as Exclude<Modality, 'language'>, params)
}

function languageDemand(context: CreditsContext, modelId: string, params: CallParams): Demand {
  const { maxOutputTokens } = params
  const input = { prompt: params.prompt, tools: params.tools, responseFormat: params.responseFormat }
  const extras = extrasOf(params)
  return {
    inputTokens: boundInputTokens(input, { ...context.inputBound, countText: context.countTokens }),
    maxOutputTokens: typeof maxOutputTokens === 'number' ? maxOutputTokens : undefined,
    clampable: true,
    usage: extras,
    cacheWrite: writesNoCache(modelId, params) ? 'none' : '1h',
    likely: (outputTokens) => ({
      ...extras,
      webSearches: undefined,
      inputTokens: likelyInput(context, input),
      outputTokens,
    }),
  }
}

function likelyInput(context: CreditsContext, input: { prompt: unknown; tools: unknown; responseFormat: unknown }) {
  const { countTokens = likelyTokens } = context
  return boundInputTokens(input, {
    ...context.inputBound,
    countText: countTokens,
    perMessage: 4,
    perCall: 0,
    perCallWithTools: 100,
  })
}

/** Searches that a provider's own tool may run, when it does not say how many. */
const SEARCHES = 5

function extrasOf({ tools, providerOptions }: CallParams): Usage | undefined {
  const usage: Usage = {}
  if (Array.isArray(tools)) {
    for (const tool of tools as ReadonlyArray<{ type?: unknown; id?: unknown; args?: { maxUses?: unknown } }>) {
      if (tool.type !== 'provider' || !/search/i.test(String(tool.id))) continue
      const most = tool.args?.maxUses
      usage.webSearches = (usage.webSearches ?? 0) + (Number.isSafeInteger(most) ? Number(most) : SEARCHES)
    }
  }
  const tier = serviceTierOf(providerOptions)
  if (tier !== undefined) usage.serviceTier = tier
  return usage.webSearches === undefined && tier === undefined ? undefined : usage
}

/** The tier a call asks for, whichever provider's option says so. */
export function serviceTierOf(providerOptions: unknown): string | undefined {
  if (typeof providerOptions !== 'object' || providerOptions === null) return undefined
  for (const options of Object.values(providerOptions) as ReadonlyArray<{ serviceTier?: unknown } | null>) {
    const tier = options?.serviceTier
    if (typeof tier === 'string' && tier !== '' && tier.length < 50) return tier
  }
  return undefined
}

// Anthropic writes a cache only where it is asked to; others may do so on their own account, at a price.
function writesNoCache(modelId: string, params: CallParams): boolean {
  if (!modelId.startsWith('anthropic/')) return false
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
