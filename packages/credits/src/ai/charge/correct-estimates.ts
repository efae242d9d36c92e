import { invalidInput } from '../../core/errors.ts'
import { creditsOfUsd, isZero, sub } from '../../core/money.ts'
import {
  type ByokRule,
  chooseReportedCost,
  exactAmount,
  type ReportedCost,
  readGatewayCosts,
} from '../../core/pricing/gateway-costs.ts'
import type { Credits } from '../../credits/types.ts'
import type { ChargeRecord, EstimatedCharge, EstimatePosition } from '../../store/port.ts'

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
  /** Lists the estimates of its store, and corrects them. */
  credits: Pick<Credits, 'getEstimates' | 'correctEstimate'>
  /** `gateway.getGenerationInfo`. */
  getGenerationInfo: (input: { id: string }) => PromiseLike<unknown>
  /** As in the context of the wrapped call. Default `charge`. */
  byok?: ByokRule | undefined
  /** Charges of one page, 1 to 5000. Default 100. */
  pageSize?: number | undefined
}

/**
 * Corrects charges that were estimated from the gateway's own records. The work is read from the ledger, so a run that
 * was interrupted is continued by the next one. Each correction is a transaction of its own, made at most once.
 *
 * @example
 * ```ts
 * const results = await reconcileEstimates({ credits, getGenerationInfo: (input) => gateway.getGenerationInfo(input) })
 * ```
 */
export async function reconcileEstimates(options: ReconcileOptions): Promise<Reconciliation[]> {
  const { credits, pageSize: limit = 100 } = options
  const results: Reconciliation[] = []
  let after: EstimatePosition | undefined
  do {
    const { data, next } = await credits.getEstimates({ limit, after })
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
  { credits, byok }: ReconcileOptions,
  estimate: EstimatedCharge,
  record: unknown,
): Promise<Reconciliation> {
  const { transactionId, userId, generationId } = estimate
  const reported = recordedCost(record, byok)
  if (reported === undefined) return { transactionId, outcome: 'pending' }
  const charge = chargeOf(estimate, reported)
  const idempotencyKey = `reconcile:${generationId}`
  // An exact estimate is marked too, or every run would look it up again.
  const { transaction } = await credits.correctEstimate({ userId, transactionId, charge, idempotencyKey })
  const difference = sub(charge.amount, estimate.amount)
  if (isZero(difference)) return { transactionId, outcome: 'exact' }
  const { id: correctionId, uncollected } = transaction
  return { transactionId, outcome: 'corrected', difference, uncollected, correctionId }
}

/** What the call should have been charged. The record has no usage that a rate would price, so it has no prices. */
function chargeOf(
  { marginPercent, generationId, model, feature }: EstimatedCharge,
  { costUsd, source }: Pick<ReportedCost, 'costUsd' | 'source'>,
): ChargeRecord {
  if (marginPercent === null) throw invalidInput('marginPercent', 'the charge has no margin to correct it with')
  return {
    amount: creditsOfUsd({ costUsd, marginPercent }).credits,
    costUsd,
    marginPercent,
    costSource: source,
    computedCostUsd: null,
    reportedCostUsd: costUsd,
    model,
    servedModel: null,
    feature,
    usage: null,
    inputTokens: null,
    outputTokens: null,
    rateId: null,
    marginId: null,
    pricing: null,
    generationId,
    provider: null,
    flags: [],
    rawUsage: null,
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
