import type {
  Experimental_DecisionModelV4CallOptions as DecisionModelV4CallOptions,
  EmbeddingModelV4CallOptions,
  Experimental_ExtractionModelV4CallOptions as ExtractionModelV4CallOptions,
  ImageModelV4CallOptions,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4StreamPart,
  RerankingModelV4CallOptions,
  SpeechModelV4CallOptions,
  Experimental_SpeechModelV4StreamOptions as SpeechModelV4StreamOptions,
  Experimental_SpeechModelV4StreamPart as SpeechModelV4StreamPart,
  Experimental_SpeechTranslationModelV4StreamOptions as SpeechTranslationModelV4StreamOptions,
  Experimental_SpeechTranslationModelV4StreamPart as SpeechTranslationModelV4StreamPart,
  TranscriptionModelV4CallOptions,
  Experimental_TranscriptionModelV4StreamOptions as TranscriptionModelV4StreamOptions,
  Experimental_TranscriptionModelV4StreamPart as TranscriptionModelV4StreamPart,
  Experimental_VideoModelV4CallOptions as VideoModelV4CallOptions,
} from '@ai-sdk/provider'
import type { ByokRule, SurchargeRule } from '../core/pricing/gateway-costs.ts'
import type { InputBoundConfig } from '../core/pricing/input-bound.ts'
import type { Usage } from '../core/pricing/usage.ts'
import type { CallPricing, Credits } from '../credits/types.ts'

/**
 * The types that the parts of `ai/` share.
 *
 * - `estimate/`: `estimateCall(params, input): Promise<CallEstimate>`, `seenOutput(countTokens, tools): SeenOutput`
 * - `charge/`: `priceCall(call, outcome): Promise<ChargeRecord>`, `generationIdOf(metadata)`
 */

/** What a call function or a model method works on. It decides how a call is counted and priced. */
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

/** `whole`: the provider answers with one result. `stream`: it answers part by part, and the meter can end it. */
export type Delivery = 'whole' | 'stream'

/** A model of any specification version and modality, as far as this package reads it. */
export interface AnyModel {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
}

/** Counts the tokens of a text. A count that is too low makes the reservation too small. */
export type CountTokens = (text: string) => number

/** Options of a provider call, by modality. Before the call they are read off the options of the function. */
export interface ProviderCallParams {
  language: LanguageModelV4CallOptions
  embedding: EmbeddingModelV4CallOptions
  image: ImageModelV4CallOptions
  speech: SpeechModelV4CallOptions | SpeechModelV4StreamOptions
  transcription: TranscriptionModelV4CallOptions | TranscriptionModelV4StreamOptions
  translation: SpeechTranslationModelV4StreamOptions
  reranking: RerankingModelV4CallOptions
  video: VideoModelV4CallOptions
  decision: DecisionModelV4CallOptions
  extraction: ExtractionModelV4CallOptions
}

/** Options of one provider call, of whichever modality. */
export type CallParams = ProviderCallParams[Modality]

/** A part of a provider's stream, or a piece of the content of a whole answer. */
export type OutputPart =
  | LanguageModelV4StreamPart
  | LanguageModelV4Content
  | SpeechModelV4StreamPart
  | TranscriptionModelV4StreamPart
  | SpeechTranslationModelV4StreamPart

/** What has come out of a provider call so far. The meter adds every part; estimates and limits are read off it. */
export interface SeenOutput {
  /** Counts one part. Never throws. */
  add(part: OutputPart): void
  /** True until the provider has produced anything that costs. */
  readonly empty: boolean
  /** Output tokens produced so far, as far as they can be told from the parts. Never throws. */
  readonly tokens: number
  /** True when more than `limit` output tokens have certainly been produced. Cheap for almost all parts. */
  exceeds(limit: number): boolean
  /** Reasoning was streamed, so more of it may exist than was seen. */
  readonly reasoning: boolean
  /** Files that were produced: pictures, audio. */
  readonly files: number
  /** Calls of the provider's own search tools that were seen. */
  readonly searches: number
  /** Of an input that arrives while the provider works: characters or seconds the provider has read. */
  inputAmount: number
}

/** An input that arrives while the provider works: text to speak, audio to listen to. */
export interface StreamedInput {
  /** The option that holds the stream. */
  readonly option: 'text' | 'audio'
  /** Characters or seconds of one chunk. */
  measure(chunk: unknown): number
  /** Characters or seconds that an amount of credits pays for. */
  amountFor(credits: string): number
  /** The estimate of the same call with so much input. */
  grownTo(amount: number): CallEstimate
}

/** What one provider call may cost. Amounts are decimal strings of credits. */
export interface CallEstimate {
  /** Id of the model's rate. */
  readonly model: string
  readonly pricing: CallPricing
  readonly modality: Modality
  /** Credits to reserve: they pay for the whole input and for `likelyOutputTokens`. */
  readonly amount: string
  /** With fewer credits than this the call is refused. */
  readonly minimumAmount: string
  /** Upper bound of the input. */
  readonly inputTokens: number
  /** Output tokens that `amount` pays for. */
  readonly likelyOutputTokens: number
  /** The most the call itself can produce: the limit the app set, else the model's. Undefined: not known. */
  readonly outputLimit: number | undefined
  /** What was counted beforehand: images, seconds, characters, searches, tier. */
  readonly usage: Usage | undefined
  /** Set where the input arrives while the provider works. */
  readonly input: StreamedInput | undefined
  /** Output tokens that an amount pays for, the input paid first. At most `outputLimit`. */
  outputTokensFor(credits: string): number
  /**
   * `maxOutputTokens` to send when the call may cost this much. Undefined: send what the app set, because the call
   * cannot produce more than that, or takes no limit.
   */
  maxOutputTokensFor(credits: string): number | undefined
  /** The estimate of the same call when its output has outgrown this one. For streams. */
  extendBy(seen: SeenOutput): CallEstimate
  /** The usage to charge when the provider's own count was lost. */
  likelyUsage(seen: SeenOutput): Usage
}

/** The part of a context that estimates and prices read. */
export interface CallContext {
  /** From `createCredits`. */
  credits: Credits
  /** Who pays. Take it from the verified session, never from the body of the request. */
  userId: string
  /** Stored with every charge. Margins can depend on it. */
  feature?: string | undefined
  /**
   * Output tokens to reserve for, and to limit the call to, when the call itself sets no `maxOutputTokens`. Default:
   * nothing is sent unless the credits do not pay for the model's own limit.
   */
  maxOutputTokens?: number | undefined
  /** Refuse the call when fewer output tokens than this can be paid. Default 64. */
  minOutputTokens?: number | undefined
  /**
   * Counts the tokens of a text. Default: UTF-8 bytes for reservations (never too few), about four characters a token
   * where a lost usage is estimated. A real tokenizer makes both exact. One that throws is replaced by the default.
   */
  countTokens?: CountTokens | undefined
  /** How files and the overhead of messages count towards the reservation. */
  inputBound?: Omit<InputBoundConfig, 'countText'> | undefined
  /** What a call over the app's own provider key costs the user. Default `charge`: the market price, as any other. */
  byok?: ByokRule | undefined
  /** Whether the gateway's surcharges are part of a call's cost. Default `charge`. */
  surcharges?: SurchargeRule | undefined
  /** The cost of a call in USD, read off its result, for providers whose metadata this package does not know. */
  reportedCost?: ((result: unknown) => string | undefined) | undefined
}

/** Arguments of `estimateCall` besides the params. */
export interface EstimateInput {
  modality: Modality
  delivery: Delivery
  context: CallContext
  /** Id of the model's rate. */
  model: string
  pricing: CallPricing
  /** Credits that the user was last known to have. Undefined: not known yet. Decides how much is reserved. */
  available?: string | undefined
}

/** One provider call, for its price. */
export interface PricedCall {
  modality: Modality
  delivery: Delivery
  context: CallContext
  /** Id of the rate of the model that was asked for. */
  model: string
  /** As they were sent. */
  params: CallParams
  estimate: CallEstimate
  /** 1, 2, 3 ... within the reservation. Stored in the metadata of the charge. */
  attempt: number
  /** ISO time. */
  startedAt: string
}

/** What is known of a provider call when it is over. */
export interface CallOutcome {
  /** The result of a whole answer, or the last part of a stream. Undefined: there was none. */
  result: unknown
  /** As the provider reported it. Undefined: lost. */
  usage: unknown
  /** As it came with the result or the last part. */
  providerMetadata: unknown
  /** The `response` of the result: id, modelId, headers. */
  response: unknown
  seen: SeenOutput
  /** The call was ended before the provider had finished. */
  aborted: boolean
  /** Of the gateway, from the first part that named it. */
  generationId: string | undefined
}
