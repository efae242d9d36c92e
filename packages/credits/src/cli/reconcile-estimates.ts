import type pg from 'pg'
import { reconcileEstimates } from '../ai/charge/correct-estimates.ts'
import { createCredits } from '../credits.ts'
import { postgresStore } from '../store/postgres.ts'
import type { ExitCode, Output } from './command.ts'
import { loadGateway } from './gateway.ts'

/** `credits reconcile --estimates` */
export async function reconcileEstimatesCommand(client: pg.Client, apply: boolean, output: Output): Promise<ExitCode> {
  const credits = createCredits({ store: postgresStore(client) })
  if (!apply) {
    const { data, next } = await credits.getEstimates({ limit: 1_000 })
    output.say(`${data.length}${next === null ? '' : ' or more'} estimated charges without a correction`)
    if (data.length > 0) output.say('Nothing was changed: repeat with --apply.')
    output.answer({ applied: false, estimates: data })
    return data.length === 0 ? 0 : 1
  }
  const gateway = await loadGateway()
  const results = await output.during('Asking the gateway', () =>
    reconcileEstimates({ credits, getGenerationInfo: (input) => gateway.getGenerationInfo(input) }),
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
