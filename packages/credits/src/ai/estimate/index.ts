import { CREDIT_PLACES, compare, max, min, mul, round } from '../../core/money.ts'
import type { Usage } from '../../core/pricing/usage.ts'
import type { CallPricing } from '../../credits/types.ts'
import type { CallEstimate, CallParams, EstimateInput, Modality, SeenOutput, StreamedInput } from '../types.ts'
import { looseParams, type UsageBound } from './bound.ts'
import { languageBound } from './language.ts'
import { MEDIA_BOUNDS } from './media.ts'
import { creditsOfBound, modelOutputLimit, outputTokensOf, possiblePricings } from './price-bound.ts'

export { callParamsOf } from './params.ts'
export { likelyTokens, seenOutput } from './tokens.ts'

/**
 * Output that a stream reserves for at first. It extends its reservation as the output grows. With more than this the
 * reservations of ordinary chats are more than four times their charges, by the median of fifteen models.
 */
const STREAM_OUTPUT_TOKENS = 3_072
/** A stream reserves for this much even where a quarter of the available credits does not pay for it. */
const STREAM_MIN_OUTPUT_TOKENS = 1_024
/** Output that a whole answer reserves for while the balance is not known. */
const WHOLE_OUTPUT_TOKENS = 8_192
/** A whole answer reserves for this much even where a quarter of the available credits does not pay for it. */
const WHOLE_MIN_OUTPUT_TOKENS = 2_048
/** The limit of a model whose limit is not known. More than the model takes would be refused by its provider. */
const UNKNOWN_OUTPUT_LIMIT = 8_192
/** Answers shorter than this are not worth paying for the prompt. */
const MIN_OUTPUT_TOKENS = 64
/** An output that a call is given at its likely input, when the bound of its input leaves less. */
const SHORT_ANSWER_TOKENS = 512
/** A stream extends its reservation by at least this much output, to be worth the round trip. */
const MIN_EXTENSION_TOKENS = 64
/** Available credits are taken for this much while they are not known. */
const ASSUMED_AVAILABLE = '50'

/**
 * Estimates one provider call: how much to reserve for it, and how much output an amount of credits pays for.
 *
 * A stream reserves for 3,072 output tokens, and extends its reservation as its output grows. A whole answer cannot be
 * extended: it reserves a quarter of the available credits, or for 8,192 tokens while they are not known. Neither takes
 * more than that quarter, so at least four calls fit side by side. Short balances are the exception: there a stream
 * takes what 1,024 tokens cost, and a whole answer what 2,048 tokens cost. No call reserves for more than its limit.
 *
 * @throws CreditError `UNKNOWN_MODEL` when no price is known and no ceiling is configured
 * @example
 * ```ts
 * const estimate = await estimateCall(params, { modality: 'language', delivery: 'stream', context, model, pricing })
 * await credits.reserve({ userId, model, amount: estimate.amount, minimumAmount: estimate.minimumAmount })
 * ```
 */
export async function estimateCall(params: CallParams, input: EstimateInput): Promise<CallEstimate> {
  const { modality, context, model, pricing } = input
  const boundInput = { params: looseParams(params), context, model, pricing }
  const bound = modality === 'language' ? languageBound(boundInput) : MEDIA_BOUNDS[modality](boundInput)
  const pricings = await possiblePricings(boundInput)
  return new Estimate({ ...input, bound, pricings })
}

/** A call with its bound and the prices it may be billed at. */
interface BoundCall extends EstimateInput {
  bound: UsageBound
  pricings: readonly CallPricing[]
}

class Estimate implements CallEstimate {
  readonly model: string
  readonly pricing: CallPricing
  readonly modality: Modality
  readonly amount: string
  readonly minimumAmount: string
  readonly inputTokens: number
  readonly likelyOutputTokens: number
  readonly outputLimit: number | undefined
  readonly usage: Usage | undefined
  readonly input: StreamedInput | undefined
  readonly #call: BoundCall
  readonly #minimumOutputTokens: number

  /** @param grown what a stream that has outgrown its last estimate needs. Undefined: what the policy says. */
  constructor(call: BoundCall, grown?: { wanted: number; least: number }) {
    const { bound, model, modality, pricing } = call
    this.#call = call
    this.model = model
    this.pricing = pricing
    this.modality = modality
    this.inputTokens = bound.inputTokens
    this.usage = bound.usage
    const limit = outputLimitOf(call)
    // A provider that does not keep to a limit may go beyond it without end.
    this.outputLimit = limit !== undefined && grown !== undefined && grown.least > limit ? undefined : limit
    this.#minimumOutputTokens = grown?.least ?? this.#leastOutput()
    this.minimumAmount = this.#leastCredits()
    const wanted = grown === undefined ? this.#amountByPolicy() : this.#creditsFor(Math.max(grown.wanted, grown.least))
    this.amount = max(wanted, this.minimumAmount)
    this.likelyOutputTokens = this.outputTokensFor(this.amount)
    this.input = bound.streamed && this.#streamedInput(bound.streamed)
  }

  outputTokensFor(credits: string): number {
    const { bound } = this.#call
    if (!bound.takesLimit) return bound.maxOutputTokens ?? 0
    return Math.min(this.outputLimit ?? Number.MAX_SAFE_INTEGER, this.#affordable(credits))
  }

  maxOutputTokensFor(credits: string): number | undefined {
    const { bound, delivery } = this.#call
    if (!bound.takesLimit) return undefined
    const affordable = this.#affordable(credits)
    // The provider adds the thinking budget to the limit that it is sent.
    if (affordable < (this.outputLimit ?? UNKNOWN_OUTPUT_LIMIT)) return Math.max(1, affordable - bound.thinkingTokens)
    // Only its limit keeps a whole answer of such a model within its reservation.
    if (this.outputLimit === undefined) return delivery === 'whole' ? UNKNOWN_OUTPUT_LIMIT : undefined
    const contextLimit = contextLimitOf(this.#call)
    return contextLimit === undefined || contextLimit > this.outputLimit ? undefined : contextLimit
  }

  extendBy(seen: SeenOutput): CallEstimate {
    const { bound } = this.#call
    const kept = this.outputLimit !== undefined && seen.tokens < this.outputLimit
    const limit = kept && this.outputLimit !== undefined ? this.outputLimit : Number.MAX_SAFE_INTEGER
    const wanted = Math.min(limit, 2 * Math.max(seen.tokens, this.likelyOutputTokens))
    const least = Math.min(limit, seen.tokens + MIN_EXTENSION_TOKENS)
    // A model that has drawn what was reserved for may draw another picture.
    const images = bound.usage?.images
    const more = images !== undefined && bound.takesLimit && seen.files >= images
    const usage = more ? { ...bound.usage, images: seen.files + 1 } : bound.usage
    return new Estimate({ ...this.#call, bound: { ...bound, usage } }, { wanted, least })
  }

  likelyUsage(seen: SeenOutput): Usage {
    return this.#call.bound.likelyUsage(seen)
  }

  #creditsFor(outputTokens: number): string {
    const { bound, pricings } = this.#call
    return creditsOfBound(pricings, bound, outputTokens)
  }

  /** The shortest answer that is worth paying for, after all thinking. */
  #leastOutput(): number {
    const { bound, context } = this.#call
    if (!bound.takesLimit) return bound.maxOutputTokens ?? 0
    const shortest = (context.minOutputTokens ?? MIN_OUTPUT_TOKENS) + bound.thinkingTokens
    return Math.min(shortest, this.outputLimit ?? Number.MAX_SAFE_INTEGER)
  }

  /** What the call must be able to pay: the input as it probably is, and the shortest answer. */
  #leastCredits(): string {
    const { bound, pricings } = this.#call
    const { leastInputTokens: inputTokens, leastUsage: usage, cacheWrite } = bound
    return creditsOfBound(pricings, { inputTokens, usage, cacheWrite }, this.#minimumOutputTokens)
  }

  #amountByPolicy(): string {
    const { available, bound, delivery } = this.#call
    if (!bound.takesLimit) return this.#creditsFor(bound.maxOutputTokens ?? 0)
    const limit = this.outputLimit ?? UNKNOWN_OUTPUT_LIMIT
    const creditsFor = (tokens: number) => this.#creditsFor(Math.min(limit, tokens))
    if (delivery === 'stream') {
      const quarter = shareOf(available ?? ASSUMED_AVAILABLE, '0.25')
      return min(creditsFor(STREAM_OUTPUT_TOKENS), max(quarter, creditsFor(STREAM_MIN_OUTPUT_TOKENS)))
    }
    if (available === undefined) return creditsFor(WHOLE_OUTPUT_TOKENS)
    return min(creditsFor(limit), max(shareOf(available, '0.25'), creditsFor(WHOLE_MIN_OUTPUT_TOKENS)))
  }

  /** Where the bound of the input leaves too little for an answer, the input counts as it probably is. */
  #affordable(credits: string): number {
    const { bound, pricings } = this.#call
    const affordable = outputTokensOf(pricings, bound, credits)
    if (affordable >= SHORT_ANSWER_TOKENS || compare(credits, this.minimumAmount) < 0) return affordable
    const { leastInputTokens: inputTokens, leastUsage: usage, cacheWrite } = bound
    const likely = outputTokensOf(pricings, { inputTokens, usage, cacheWrite }, credits)
    return Math.max(affordable, Math.min(likely, SHORT_ANSWER_TOKENS))
  }

  #streamedInput(streamed: NonNullable<UsageBound['streamed']>): StreamedInput {
    const { option, measure, amount, leastAmount, grownTo } = streamed
    const { amount: full, minimumAmount: least } = this
    return {
      option,
      measure,
      // The cost of such an input grows in a straight line.
      amountFor(credits) {
        if (compare(credits, full) >= 0 || full === least) return amount
        const share = (Number(credits) - Number(least)) / (Number(full) - Number(least))
        return leastAmount + (amount - leastAmount) * Math.max(0, share)
      },
      grownTo: (arrived) => new Estimate({ ...this.#call, bound: grownTo(arrived) }),
    }
  }
}

/** The limit that the context sets for a call which sets none. */
function contextLimitOf({ bound, context }: BoundCall): number | undefined {
  return bound.takesLimit && bound.maxOutputTokens === undefined ? context.maxOutputTokens : undefined
}

/** The lower of the limit that the app sets, thinking added, and the model's own. */
function outputLimitOf(call: BoundCall): number | undefined {
  const { bound, pricings } = call
  if (!bound.takesLimit) return bound.maxOutputTokens
  const own = bound.maxOutputTokens ?? contextLimitOf(call)
  const limits = [own === undefined ? undefined : own + bound.thinkingTokens, modelOutputLimit(pricings)]
  const known = limits.filter((limit) => limit !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function shareOf(available: string, share: string): string {
  return round(mul(available, share), CREDIT_PLACES, 'down')
}
