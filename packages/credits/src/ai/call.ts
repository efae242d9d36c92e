import type { UsageInput } from '../core/normalize-usage.ts'
import type { ChargeRecord } from '../store/port.ts'
import { chargeOf, generationIdOf } from './charge.ts'
import { rateIdOf, report } from './context.ts'
import { type CallParams, type Demand, demandOf } from './demand.ts'
import type { Funds } from './funds.ts'
import type { Operation } from './operation.ts'
import { covering, quoteFor } from './quote.ts'
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
  readonly #model: string
  readonly #demand: Demand
  readonly #startedAt = new Date().toISOString()
  #generationId: string | undefined
  #over = false

  private constructor(run: Run, call: { funds: Funds; modality: Modality; params: CallParams }) {
    const { funds, modality, params } = call
    const { operation } = run
    this.run = run
    this.operation = operation
    this.funds = funds
    this.modality = modality
    this.output = new OutputTally(operation.context.countTokens)
    this.#model = funds.quote.model
    this.#demand = funds.quote.demand
    this.params = funds.clamped ? { ...params, maxOutputTokens: funds.maxOutputTokens } : params
  }

  /** @throws CreditError when the call cannot be paid or priced; then nothing was called */
  static async begin(run: Run, model: AnyModel, modality: Modality, params: CallParams): Promise<ProviderCall> {
    const { operation } = run
    const { context } = operation
    const rate = rateIdOf(context, model)
    const demand = demandOf(context, modality, rate, params)
    const quote = covering(operation.quote, rate, demand) ?? (await quoteFor(context, rate, demand))
    const funds = await operation.begin(quote)
    return new ProviderCall(run, { funds, modality, params })
  }

  /** Metadata of any part: the generation id comes with the first, the cost with the last. */
  note(providerMetadata: unknown): void {
    this.#generationId ??= generationIdOf(providerMetadata)
  }

  /** The provider answered. Never throws. */
  async complete(usage: UsageInput | undefined, providerMetadata: unknown): Promise<void> {
    await this.#charge(usage, providerMetadata)
  }

  /**
   * The call ended without a result. What was generated is charged by estimate; a call that failed before it
   * generated anything costs nothing, one that was aborted has used its input.
   */
  async lose(loss: Loss): Promise<void> {
    const worked = loss === 'aborted' || !this.output.empty
    if (worked) await this.#charge(undefined, undefined)
    else await this.#finish(undefined)
  }

  /** More funds for an output that has outgrown the present ones; false when there are none. */
  async stretch(): Promise<boolean> {
    const { funds, operation } = this
    const maxOutputTokens = Math.max(2 * funds.maxOutputTokens, funds.quote.maxOutputTokens)
    // As much as may be needed, but content with what makes the round trip worth while.
    const context = { ...operation.context, minOutputTokens: funds.maxOutputTokens + WORTH_A_ROUND_TRIP }
    const quote = await quoteFor(context, this.#model, { ...this.#demand, maxOutputTokens })
    return operation.stretch(funds, quote)
  }

  async #charge(usage: UsageInput | undefined, providerMetadata: unknown): Promise<void> {
    if (this.#over) return
    await this.#finish((await this.#price(usage, providerMetadata)) ?? (await this.#price(undefined, undefined)))
  }

  async #price(usage: UsageInput | undefined, providerMetadata: unknown): Promise<ChargeRecord | undefined> {
    const { operation, funds, params } = this
    try {
      return await chargeOf(
        operation.context,
        {
          model: this.#model,
          demand: this.#demand,
          frozen: operation.frozenFor(this.#model),
          providerOptions: params.providerOptions,
          attempt: funds.attempt,
          startedAt: this.#startedAt,
        },
        { usage, outputTokens: this.output.likely, providerMetadata, generationId: this.#generationId },
      )
    } catch (error) {
      report(operation.context, error, { operation: 'price', reservationId: operation.reservationId })
      return undefined
    }
  }

  async #finish(charge: ChargeRecord | undefined): Promise<void> {
    if (this.#over) return
    this.#over = true
    await this.operation.finish(this.funds, charge)
  }
}
