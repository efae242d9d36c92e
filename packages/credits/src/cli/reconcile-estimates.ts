import type pg from 'pg'
import {
  type EstimatedCharge,
  type EstimateLedger,
  type EstimatePosition,
  reconcileEstimates,
} from '../ai/charge/correct-estimates.ts'
import { uuidFor } from '../core/ids.ts'
import type { TransactionResult } from '../store/types.ts'
import type { ExitCode, Output } from './command.ts'
import { callFunction } from './database.ts'
import { loadGateway } from './gateway.ts'

interface EstimatesPage {
  data: EstimatedCharge[]
  next: EstimatePosition | null
}

/** Estimated charges of the ledger that have no correction, and the correction of one. */
export function estimateLedger(client: pg.Client): EstimateLedger {
  return {
    getEstimates({ limit, after }) {
      const position = after === undefined ? null : JSON.stringify(after)
      return callFunction<EstimatesPage>(client, 'credits_get_estimates', [limit, position])
    },
    // What the account does not have is uncollected.
    async correctEstimate({ userId, transactionId, charge, idempotencyKey }) {
      const id = await uuidFor('correct', userId, idempotencyKey)
      const values = [userId, id, transactionId, JSON.stringify(charge)]
      return callFunction<TransactionResult>(client, 'credits_correct', values)
    },
  }
}

/** `credits reconcile --estimates` */
export async function reconcileEstimatesCommand(client: pg.Client, apply: boolean, output: Output): Promise<ExitCode> {
  const ledger = estimateLedger(client)
  if (!apply) {
    const { data, next } = await ledger.getEstimates({ limit: 1_000 })
    output.say(`${data.length}${next === null ? '' : ' or more'} estimated charges without a correction`)
    if (data.length > 0) output.say('Nothing was changed: repeat with --apply.')
    output.answer({ applied: false, estimates: data })
    return data.length === 0 ? 0 : 1
  }
  const gateway = await loadGateway()
  const results = await output.during('Asking the gateway', () =>
    reconcileEstimates({ ledger, getGenerationInfo: (input) => gateway.getGenerationInfo(input) }),
  )
  const counts = { exact: 0, corrected: 0, pending: 0, failed: 0 }
  for (const result of results) {
    counts[result.outcome] += 1
    if (result.outcome === 'corrected') output.say(correctionLine(result))
    if (result.outcome === 'failed') output.say(`failed     ${result.transactionId}: ${messageOf(result.error)}`)
  }
  const { exact, corrected, pending, failed } = counts
  output.say(`${corrected} corrected, ${exact} exact, ${pending} without a record yet, ${failed} failed`)
  output.answer({ applied: true, ...counts, results: results.map(withoutError) })
  return failed === 0 ? 0 : 1
}

function correctionLine(result: {
  transactionId: string
  difference: string
  uncollected: string
  correctionId: string
}): string {
  const { transactionId, difference, uncollected, correctionId } = result
  const signed = difference.startsWith('-') ? difference : `+${difference}`
  const missing = uncollected === '0' ? '' : `, ${uncollected} of it uncollected`
  return `corrected  ${transactionId}: ${signed} credits${missing}, transaction ${correctionId}`
}

function withoutError<Result extends { outcome: string; error?: unknown }>(result: Result): object {
  return result.outcome === 'failed' ? { ...result, error: messageOf(result.error) } : result
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
