import { CreditError } from '../../core/errors.ts'
import { compare, creditsOfUsd, isZero, min, sub } from '../../core/money.ts'
import {
  type ByokRule,
  chooseReportedCost,
  exactAmount,
  type ReportedCost,
  readGatewayCosts,
} from '../../core/pricing/gateway-costs.ts'
import type { Credits } from '../../credits/types.ts'
import type { ChargeRecord, Transaction } from '../../store/port.ts'

/** A charge that was made from an estimate, with what its correction needs. */
export interface EstimatedCharge {
  transactionId: string
  userId: string
  /** Credits that were charged, uncollected ones included. */
  amount: string
  /** The margin that was in force. */
  marginPercent: string
  /** Under this id the gateway keeps its record of the call. */
  generationId: string
  model?: string | null | undefined
  feature?: string | null | undefined
}

/** Where a page of estimates ended: in an account, at a transaction's number. */
export interface EstimatePosition {
  accountId: string
  version: number
}

/** Replaces an estimated charge by what the call really cost. */
export interface EstimateCorrection {
  userId: string
  /** The charge that is corrected. */
  transactionId: string
  /** What the call should have been charged. */
  charge: ChargeRecord
  /** One correction per charge: the same key gives the first result again. */
  idempotencyKey: string
}

/** Where estimated charges are listed and corrected: `credits_get_estimates` and `credits_correct` of the database. */
export interface EstimateLedger {
  /** A page of estimated charges that have a generation id and no correction yet. */
  getEstimates(input: {
    limit: number
    after?: EstimatePosition | undefined
  }): Promise<{ data: readonly EstimatedCharge[]; next: EstimatePosition | null }>
  /**
   * Takes or gives back the difference to what was charged, and marks the estimate as corrected. What the account does
   * not have is recorded as uncollected.
   */
  correctEstimate(input: EstimateCorrection): Promise<{ transaction: CorrectionTransaction | null }>
}

/** The transaction of a correction, as far as it is read here. */
export type CorrectionTransaction = Pick<Transaction, 'id' | 'uncollected'>

/** What became of an estimate. */
export type Reconciliation =
  | { transactionId: string; outcome: 'exact' }
  /** `difference`: credits taken (positive) or given back (negative), uncollected ones included. */
  | { transactionId: string; outcome: 'corrected'; difference: string; uncollected: string; correctionId: string }
  /** The gateway has no record yet. Records arrive late, so a later run finds it. */
  | { transactionId: string; outcome: 'pending' }
  | { transactionId: string; outcome: 'failed'; error: unknown }

/** Arguments of {@link reconcileEstimates}. */
export interface ReconcileOptions {
  ledger: EstimateLedger
  /** `gateway.getGenerationInfo`. */
  getGenerationInfo: (input: { id: string }) => PromiseLike<unknown>
  /** As in the context of the wrapped call. Default `charge`. */
  byok?: ByokRule | undefined
  /** Charges of one page. Default 100. */
  pageSize?: number | undefined
}

/**
 * Corrects charges that were estimated from the gateway's own records. The work is read from the ledger, so a run that
 * was interrupted is continued by the next one. Each correction is a transaction of its own, made at most once.
 *
 * @example
 * ```ts
 * const results = await reconcileEstimates({ ledger, getGenerationInfo: (input) => gateway.getGenerationInfo(input) })
 * ```
 */
export async function reconcileEstimates(options: ReconcileOptions): Promise<Reconciliation[]> {
  const { ledger, pageSize: limit = 100 } = options
  const results: Reconciliation[] = []
  let after: EstimatePosition | undefined
  do {
    const { data, next } = await ledger.getEstimates({ limit, after })
    for (const estimate of data) results.push(await reconcileOne(options, estimate))
    after = next ?? undefined
  } while (after !== undefined)
  return results
}

async function reconcileOne(options: ReconcileOptions, estimate: EstimatedCharge): Promise<Reconciliation> {
  const { transactionId } = estimate
  try {
    const record = await options.getGenerationInfo({ id: estimate.generationId })
    return await correct(options, estimate, record)
  } catch (error) {
    return isNotRecorded(error) ? { transactionId, outcome: 'pending' } : { transactionId, outcome: 'failed', error }
  }
}

async function correct(
  { ledger, byok }: ReconcileOptions,
  estimate: EstimatedCharge,
  record: unknown,
): Promise<Reconciliation> {
  const { transactionId, userId, generationId } = estimate
  const reported = recordedCost(record, byok)
  if (reported === undefined) return { transactionId, outcome: 'pending' }
  const charge = chargeOf(estimate, reported)
  const idempotencyKey = `reconcile:${generationId}`
  // An exact estimate is marked too, or every run would look it up again.
  const { transaction } = await ledger.correctEstimate({ userId, transactionId, charge, idempotencyKey })
  const difference = sub(charge.amount, estimate.amount)
  if (isZero(difference) || transaction === null) return { transactionId, outcome: 'exact' }
  const { id: correctionId, uncollected } = transaction
  return { transactionId, outcome: 'corrected', difference, uncollected, correctionId }
}

/** What the call should have been charged. The record has no usage that a rate would price, so it has no prices. */
function chargeOf(
  { marginPercent, generationId, model, feature }: EstimatedCharge,
  { costUsd, source }: Pick<ReportedCost, 'costUsd' | 'source'>,
): ChargeRecord {
  return {
    amount: creditsOfUsd({ costUsd, marginPercent }).credits,
    costUsd,
    marginPercent,
    costSource: source,
    computedCostUsd: null,
    reportedCostUsd: costUsd,
    model: model ?? null,
    servedModel: null,
    feature: feature ?? null,
    usage: null,
    inputTokens: null,
    outputTokens: null,
    rateId: null,
    marginId: null,
    pricing: null,
    generationId,
    provider: null,
    metadata: {},
  }
}

function recordedCost(
  record: unknown,
  byok: ByokRule | undefined,
): Pick<ReportedCost, 'costUsd' | 'source'> | undefined {
  const reported = chooseReportedCost({ costs: readGatewayCosts(record), hasRate: false, byok })
  if (reported !== null) return reported
  // The record of a call that cost nothing says zero, which elsewhere is no reported cost.
  const total = exactAmount((record as { totalCost?: unknown } | null)?.totalCost)
  return total === '0' ? { costUsd: total, source: 'gateway-cost' } : undefined
}

function isNotRecorded(error: unknown): boolean {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return statusCode === 404 || statusCode === 425
}

/**
 * A ledger over charges that `onEstimated` collected, for a store that does not list them itself. A difference that is
 * owed is taken as far as the balance goes. The rest is named in the result and in no transaction.
 *
 * @example reconcileEstimates({ ledger: collectedEstimates(credits, estimates), getGenerationInfo })
 */
export function collectedEstimates(
  credits: Pick<Credits, 'refund' | 'adjust' | 'getBalance'>,
  estimates: readonly EstimatedCharge[],
): EstimateLedger {
  const charged = new Map(estimates.map(({ transactionId, amount }) => [transactionId, amount]))
  return {
    getEstimates: async () => ({ data: estimates, next: null }),
    async correctEstimate({ transactionId, userId, charge, idempotencyKey }) {
      const difference = sub(charge.amount, charged.get(transactionId) ?? charge.amount)
      const reason = `Corrected by the gateway's record ${charge.generationId}`
      if (isZero(difference)) return { transaction: null }
      if (compare(difference, '0') > 0) return take(credits, { userId, amount: difference, reason, idempotencyKey })
      return credits.refund({ transactionId, amount: sub('0', difference), reason, idempotencyKey })
    },
  }
}

async function take(
  credits: Pick<Credits, 'adjust' | 'getBalance'>,
  input: { userId: string; amount: string; reason: string; idempotencyKey: string },
): Promise<{ transaction: CorrectionTransaction }> {
  const { userId, amount, idempotencyKey } = input
  try {
    return await credits.adjust({ ...input, amount: sub('0', amount) })
  } catch (error) {
    if (!CreditError.isInstance(error) || error.code !== 'INSUFFICIENT_CREDITS') throw error
    const { available } = await credits.getBalance({ userId })
    if (compare(available, '0') <= 0) throw error
    const taken = min(available, amount)
    const part = { ...input, amount: sub('0', taken), idempotencyKey: `${idempotencyKey}:partial` }
    const { transaction } = await credits.adjust(part)
    return { transaction: { id: transaction.id, uncollected: sub(amount, taken) } }
  }
}
