import type pg from 'pg'
import { add } from '../core/money.ts'
import { type VerifiableCharge, verifyCharge } from '../core/pricing/verify-charge.ts'
import { createCredits } from '../credits.ts'
import { postgresStore } from '../store/postgres.ts'

/** One charge that does not follow from its own row. */
export interface PriceFault {
  accountId: string
  version: number
  fault: string
  expected: string
  actual: string
}

/** What became of recomputing every charge. */
export interface PriceFindings {
  /** Charges whose amount follows from their own row. */
  recomputed: number
  /** Amounts that the app set itself: there is nothing to recompute them from. */
  unverifiable: number
}

/** Recomputes every charge from its own row: usage x prices = cost, cost x margin = credits. One page in memory. */
export async function verifyPrices(
  client: pg.Client,
  userId: string | undefined,
  onFault: (fault: PriceFault) => void,
): Promise<PriceFindings> {
  const findings = { recomputed: 0, unverifiable: 0 }
  for await (const charge of createCredits({ store: postgresStore(client) }).charges({ details: true })) {
    const { accountId, version } = charge
    if (userId !== undefined && accountId !== userId) continue
    // What was taken and what could not be: together they are the charge.
    const row: VerifiableCharge = { ...charge, amount: add(charge.amount, charge.uncollected) }
    const result = verifyCharge(row)
    if (result.verdict === 'wrong') {
      const { field, stored: actual, expected } = result
      onFault({ accountId, version, fault: `price: ${field}`, expected, actual })
    } else if (result.verdict === 'ok') findings.recomputed++
    else findings.unverifiable++
  }
  return findings
}
