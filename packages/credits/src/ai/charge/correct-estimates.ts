import { CreditError } from '../../core/errors.ts'
import { compare, creditsOfUsd, isZero, min, sub } from '../../core/money.ts'
import { type ByokRule, chooseReportedCost, exactAmount, readGatewayCosts } from '../../core/pricing/gateway-costs.ts'
import type { Credits } from '../../credits/types.ts'

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
}

/** A correction of an estimated charge. */
export interface EstimateCorrection {
  userId: string
  /** The charge that is corrected. */
  transactionId: string
  /** Credits that the call should have been charged. */
  amount: string
  /** What the gateway says the call cost. */
  costUsd: string
  reason: string
  /** One correction per charge: the same key gives the first result again. */
  idempotencyKey: string
}

/** What a correction did. */
export interface CorrectionResult {
  /** The transaction of the correction. */
  transactionId: string
  /** Credits that were owed and that the account did not have. */
  uncollected: string
}

/** Where estimated charges are listed and corrected. */
export interface EstimateLedger {
  /** Charges made from an estimate that have a generation id and no correction yet, oldest first. */
  getEstimates(input: {
    limit: number
    cursor?: string | undefined
  }): Promise<{ data: readonly EstimatedCharge[]; nextCursor: string | null }>
  /**
   * Takes or gives back the difference to what was charged. What the account does not have is recorded as uncollected.
   */
  correctEstimate(input: EstimateCorrection, estimate: EstimatedCharge): Promise<CorrectionResult>
}

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
  let cursor: string | undefined
  do {
    const { data, nextCursor } = await ledger.getEstimates({ limit, cursor })
    for (const estimate of data) results.push(await reconcileOne(options, estimate))
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
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
  const { transactionId, userId, marginPercent, generationId } = estimate
  const costUsd = recordedCost(record, byok)
  if (costUsd === undefined) return { transactionId, outcome: 'pending' }
  const amount = creditsOfUsd({ costUsd, marginPercent }).credits
  const difference = sub(amount, estimate.amount)
  if (isZero(difference)) return { transactionId, outcome: 'exact' }
  const reason = `Corrected by the gateway's record ${generationId}`
  const idempotencyKey = `reconcile:${generationId}`
  const correction = { userId, transactionId, amount, costUsd, reason, idempotencyKey }
  const { transactionId: correctionId, uncollected } = await ledger.correctEstimate(correction, estimate)
  return { transactionId, outcome: 'corrected', difference, uncollected, correctionId }
}

function recordedCost(record: unknown, byok: ByokRule | undefined): string | undefined {
  const reported = chooseReportedCost({ costs: readGatewayCosts(record), hasRate: false, byok })
  if (reported !== null) return reported.costUsd
  // The record of a call that cost nothing says zero, which elsewhere is no reported cost.
  const total = exactAmount((record as { totalCost?: unknown } | null)?.totalCost)
  return total === '0' ? total : undefined
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
  return {
    getEstimates: async () => ({ data: [...estimates], nextCursor: null }),
    async correctEstimate({ transactionId, userId, amount, reason, idempotencyKey }, estimate) {
      const difference = sub(amount, estimate.amount)
      if (compare(difference, '0') < 0) {
        const back = { userId, transactionId, amount: sub('0', difference), reason, idempotencyKey }
        const { transaction } = await credits.refund(back)
        return { transactionId: transaction.id, uncollected: '0' }
      }
      return take(credits, { userId, amount: difference, reason, idempotencyKey })
    },
  }
}

async function take(
  credits: Pick<Credits, 'adjust' | 'getBalance'>,
  input: { userId: string; amount: string; reason: string; idempotencyKey: string },
): Promise<CorrectionResult> {
  const { userId, amount } = input
  try {
    const { transaction } = await credits.adjust({ ...input, amount: sub('0', amount) })
    return { transactionId: transaction.id, uncollected: '0' }
  } catch (error) {
    if (!CreditError.isInstance(error) || error.code !== 'INSUFFICIENT_CREDITS') throw error
    const { available } = await credits.getBalance({ userId })
    if (compare(available, '0') <= 0) throw error
    const taken = min(available, amount)
    const key = `${input.idempotencyKey}:partial`
    const { transaction } = await credits.adjust({ ...input, amount: sub('0', taken), idempotencyKey: key })
    return { transactionId: transaction.id, uncollected: sub(amount, taken) }
  }
}
