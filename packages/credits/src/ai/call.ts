import type { UsageInput } from '../core/pricing/normalize-usage.ts'
import { type Soon, soon } from '../core/soon.ts'
import { isoTime } from '../core/time.ts'
import type { ChargeRecord } from '../store/port.ts'
import { chargeOf, generationIdOf } from './charge.ts'
import { rateIdOf, report } from './context.ts'
import { type CallParams, type Demand, demandOf } from './demand.ts'
import { extentOf, type Funds } from './funds.ts'
import type { Operation } from './operation.ts'
import { covers, quoteFor } from './quote.ts'
import type { Run } from './run.ts'
import type { AnyModel, Modality } from './sdk.ts'
import { OutputTally } from './tokens.ts'

/** Output tokens that a hold is extended by at least, while a stream goes on. */
const WORTH_A_ROUND_TRIP = 64

/** How a provider call ended without a result. */
export type Loss = 'aborted' | 'failed'

/** One provider call under way: its funds, what was seen of it, and its one end. */
export class ProviderCall {
  readonly run: Run
  readonly operation: Operation
  readonly funds: Funds
  readonly output: OutputTally
  readonly modality: Modality
  /** The call's options, with the output clamped to the funds. */
  readonly params: CallParams
  readonly demand: Demand
  /** Something came out that is not counted as it comes: audio, a transcript. */
  produced = false
  readonly #model: string
  readonly #startedAt = Date.now()
  #generationId: string | undefined
  #over = false

  private constructor(run: Run, funds: Funds, demand: Demand, modality: Modality, params: CallParams) {
    const { operation } = run
    this.run = run
    this.operation = operation
    this.funds = funds
    this.modality = modality
    this.output = new OutputTally(operation.context.countTokens)
    this.demand = demand
    this.#model = funds.quote.model
    this.params = this.#sent(params)
  }

  /** @throws CreditError when the call cannot be paid or priced, at once or later; then nothing was called */
  static begin(run: Run, model: AnyModel, modality: Modality, params: CallParams): Soon<ProviderCall> {
    const { operation } = run
    const { context } = operation
    const rate = rateIdOf(context, model)
    const demand = demandOf(context, modality, rate, params)
    const earlier = operation.quote
    const quote = earlier !== undefined && covers(earlier, rate, demand) ? earlier : quoteFor(operation, rate, demand)
    return soon(
      soon(quote, (known) => operation.begin(known)),
      (funds) => new ProviderCall(run, funds, demand, modality, params),
    )
  }

  /** The options as the provider gets them: clamped to the funds, with a counter in an input that is still to come. */
  #sent(params: CallParams): CallParams {
    const { funds } = this
    const { inflow } = this.demand
    if (funds.clamped) return { ...params, maxOutputTokens: funds.maxOutputTokens }
    if (inflow === undefined) return params
    inflow.covered = extentOf(funds)
    const input = params[inflow.key] as ReadableStream<unknown>
    return { ...params, [inflow.key]: inflow.counted(input, (amount) => this.#grow(amount)) }
  }

  /** Metadata of any part: the generation id comes with the first, the cost with the last. */
  note(providerMetadata: unknown): void {
    this.#generationId ??= generationIdOf(providerMetadata)
  }

  /** The provider answered. Never throws. */
  complete(usage: UsageInput | undefined, providerMetadata: unknown): Soon<void> {
    return this.#charge(usage, providerMetadata)
  }

  /**
   * The call ended without a result. What was generated is charged by estimate; a call that failed before it
   * generated anything costs nothing, one that was aborted has used its input.
   */
  lose(loss: Loss): Soon<void> {
    const { inflow } = this.demand
    // Of an input that is still to come, none may have arrived.
    const begun = inflow === undefined || inflow.seen > 0
    const worked = this.produced || !this.output.empty || (loss === 'aborted' && begun)
    return worked ? this.#charge(undefined, undefined) : this.#finish(undefined)
  }

  /** More funds for an output that has outgrown the present ones; false when there are none. */
  async stretch(): Promise<boolean> {
    const { funds, operation } = this
    const { context, desk } = operation
    const maxOutputTokens = Math.max(2 * funds.maxOutputTokens, funds.quote.maxOutputTokens)
    // As much as may be needed, but content with what makes the round trip worth while.
    const minOutputTokens = funds.maxOutputTokens + WORTH_A_ROUND_TRIP
    const payer = { desk, context: { ...context, minOutputTokens } }
    return operation.stretch(funds, await quoteFor(payer, this.#model, { ...this.demand, maxOutputTokens }))
  }

  /** More funds for an input that has outgrown the present ones; false when there are none. Never throws. */
  async #grow(amount: number): Promise<boolean> {
    const { demand, funds, operation } = this
    const { inflow, grown } = demand
    if (inflow === undefined || grown === undefined) return false
    try {
      const quote = await quoteFor(operation, this.#model, grown(amount))
      if (quote.full <= funds.allowance) funds.quote = quote
      else if (!(await operation.stretch(funds, quote))) return false
      inflow.covered = extentOf(funds)
      return true
    } catch (error) {
      report(operation.context, error, { operation: 'extend', reservationId: operation.reservationId })
      return false
    }
  }

  #charge(usage: UsageInput | undefined, providerMetadata: unknown): Soon<void> {
    if (this.#over) return
    return soon(this.#price(usage, providerMetadata), (charge) =>
      // What cannot be priced as it was reported is priced as it was seen.
      charge === undefined
        ? soon(this.#price(undefined, undefined), (estimate) => this.#finish(estimate))
        : this.#finish(charge),
    )
  }

  /** Undefined, and reported, when there is no price. */
  #price(usage: UsageInput | undefined, providerMetadata: unknown): Soon<ChargeRecord | undefined> {
    const { operation, funds, params } = this
    const failed = (error: unknown) => {
      report(operation.context, error, { operation: 'price', reservationId: operation.reservationId })
      return undefined
    }
    const call = {
      model: this.#model,
      demand: this.demand,
      frozen: operation.frozenFor(this.#model),
      providerOptions: params.providerOptions,
      attempt: funds.attempt,
      startedAt: isoTime(this.#startedAt),
    }
    const outcome = {
      usage,
      outputTokens: this.output.likely,
      providerMetadata,
      generationId: this.#generationId,
    }
    try {
      const charge = chargeOf(operation, call, outcome)
      return charge instanceof Promise ? charge.catch(failed) : charge
    } catch (error) {
      return failed(error)
    }
  }

  #finish(charge: ChargeRecord | undefined): Soon<void> {
    if (this.#over) return
    this.#over = true
    return this.operation.finish(this.funds, charge)
  }
}
