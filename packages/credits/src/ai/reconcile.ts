import { creditsOfUsd } from '../core/money.ts'
import { chooseReportedCost, exactAmount, readGatewayCosts } from '../core/pricing/gateway-costs.ts'
import type { Credits } from '../credits/types.ts'
import { creditsOf, micros } from './quote.ts'

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

/** What became of an estimate. */
export type Reconciliation =
  | { transactionId: string; outcome: 'exact' }
  /** `difference`: credits taken (positive) or given back (negative). */
  | { transactionId: string; outcome: 'corrected'; difference: string; correctionId: string }
  /** The gateway has no record yet: records arrive late. Try again. */
  | { transactionId: string; outcome: 'pending' }
  | { transactionId: string; outcome: 'failed'; error: unknown }

/** Arguments of {@link reconcileEstimates}. */
export interface ReconcileOptions {
  credits: Pick<Credits, 'refund' | 'adjust'>
  estimates: Iterable<EstimatedCharge> | AsyncIterable<EstimatedCharge>
  /** `gateway.getGenerationInfo`. */
  getGenerationInfo: (input: { id: string }) => PromiseLike<unknown>
  /** As in the context of the wrapped call. Default `charge`. */
  byok?: 'charge' | 'free' | undefined
}

/**
 * Corrects charges that were estimated, from the gateway's own records: what was charged too much is refunded, what
 * was charged too little is taken. Nothing is changed, only added: each correction is a transaction of its own, made
 * at most once however often this runs.
 *
 * @example
 * ```ts
 * const results = await reconcileEstimates({ credits, estimates, getGenerationInfo: gateway.getGenerationInfo })
 * ```
 */
export async function reconcileEstimates(options: ReconcileOptions): Promise<Reconciliation[]> {
  const results: Reconciliation[] = []
  for await (const estimate of options.estimates) results.push(await reconcileOne(options, estimate))
  return results
}

async function reconcileOne(options: ReconcileOptions, estimate: EstimatedCharge): Promise<Reconciliation> {
  const { transactionId } = estimate
  try {
    const record = await options.getGenerationInfo({ id: estimate.generationId })
    return await correct(options, estimate, record)
  } catch (error) {
    return isMissing(error) ? { transactionId, outcome: 'pending' } : { transactionId, outcome: 'failed', error }
  }
}

async function correct(
  { credits, byok }: ReconcileOptions,
  { transactionId, userId, amount, marginPercent, generationId }: EstimatedCharge,
  record: unknown,
): Promise<Reconciliation> {
  const costUsd = costOf(record, byok)
  if (costUsd === undefined) return { transactionId, outcome: 'pending' }
  const actual = micros(creditsOfUsd({ costUsd, marginPercent }).credits)
  const difference = actual - micros(amount)
  if (difference === 0n) return { transactionId, outcome: 'exact' }
  const idempotencyKey = `reconcile:${generationId}`
  const reason = `Corrected by the gateway's record ${generationId}`
  const { transaction } =
    difference < 0n
      ? await credits.refund({ userId, transactionId, amount: creditsOf(-difference), reason, idempotencyKey })
      : await credits.adjust({ userId, amount: creditsOf(-difference), reason, idempotencyKey })
  return { transactionId, outcome: 'corrected', difference: creditsOf(difference), correctionId: transaction.id }
}

function costOf(record: unknown, byok: ReconcileOptions['byok']): string | undefined {
  const reported = chooseReportedCost({ costs: readGatewayCosts(record), hasRate: false, byok })
  if (reported !== null) return reported.costUsd
  // A call that cost nothing says so with a zero, which is no reported cost elsewhere.
  const total = exactAmount((record as { totalCost?: unknown } | null)?.totalCost)
  return total === '0' ? total : undefined
}

function isMissing(error: unknown): boolean {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return statusCode === 404 || statusCode === 425
}
