import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing } from '../../credits/types.ts'
import type { CallContext, CallParams, Modality, SeenOutput } from '../types.ts'

/** An input that arrives while the provider works, in characters or seconds. */
export interface StreamedBound {
  option: 'text' | 'audio'
  measure(chunk: unknown): number
  /** The bound is for so much of the input. */
  amount: number
  /** So much of it must be paid for, or the call is refused. */
  leastAmount: number
  /** The bound of the same call once so much has arrived. */
  grownTo(amount: number): UsageBound
}

/** What a provider call may use: its upper bound, and what it will probably be. */
export interface UsageBound {
  /** Upper bound of the input. */
  inputTokens: number
  /** The input as it probably is. Only with less than this is a call refused. */
  leastInputTokens: number
  /** The limit that the app set; for calls without such a limit, the output they come to. Undefined: not known. */
  maxOutputTokens: number | undefined
  /** Output that the provider may add to the limit it is sent: a thinking budget. */
  thinkingTokens: number
  /** The call takes `maxOutputTokens`, so its output can be limited to what the credits pay for. */
  takesLimit: boolean
  /** Counted beforehand: images, seconds, characters, searches, tier. */
  usage: Usage | undefined
  /** The least of `usage`, where that is a guess: the length of an audio file, the searches of a tool. */
  leastUsage: Usage | undefined
  cacheWrite: 'none' | '1h'
  streamed?: StreamedBound | undefined
  /** What to charge when the provider's own count was lost. */
  likelyUsage(seen: SeenOutput): Usage
}

/** What a bound is read from. */
export interface BoundInput<Params extends object = Readonly<Record<string, unknown>>> {
  params: Params
  context: CallContext
  model: string
  pricing: CallPricing
}

/** Reads the bound of one modality's call. */
export type ReadBound = (input: BoundInput) => UsageBound

/** Params of any modality, read structurally: every field may be missing or of another type. */
export type LooseParams = Readonly<Record<string, unknown>>

/** The params of a call as loose fields. */
export function looseParams(params: CallParams): LooseParams {
  return params as unknown as LooseParams
}

/** Pictures of this model are billed by the piece. Otherwise their tokens are. */
export function pricedPerPicture({ rate }: CallPricing): boolean {
  const pricing = rate?.pricing
  return pricing?.image !== undefined || pricing?.image_dimension_quality_pricing !== undefined
}

/** An option that providers take under their own name: `providerOptions.openai.quality`. */
export function providerOption({ providerOptions }: LooseParams, name: string): string | undefined {
  if (typeof providerOptions !== 'object' || providerOptions === null) return undefined
  for (const options of Object.values(providerOptions) as ReadonlyArray<LooseParams | null>) {
    const value = options?.[name]
    if (typeof value === 'string' && value !== '' && value.length < 50) return value
  }
  return undefined
}

/** A modality that is not a language model's. */
export type MediaModality = Exclude<Modality, 'language'>
