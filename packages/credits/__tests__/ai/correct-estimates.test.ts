import { describe, expect, it } from 'vitest'
import {
  collectedEstimates,
  type EstimateCorrection,
  type EstimatedCharge,
  type EstimateLedger,
  reconcileEstimates,
} from '../../src/ai/charge/correct-estimates.ts'
import { createCredits, memoryStore } from '../../src/index.ts'

/** A user who was charged an estimate of 4 credits (0.025 USD at 60 percent) from a balance. */
async function estimated(balance = '50') {
  const store = memoryStore({ rates: [], signupCredits: balance })
  const { userId } = store.createAccount()
  const credits = createCredits({ store })
  const { reservationId } = await credits.reserve({ userId, amount: '4' })
  const { transaction } = await credits.settle({ userId, reservationId, amount: '4' })
  const estimate: EstimatedCharge = {
    transactionId: transaction?.id ?? '',
    userId,
    amount: '4',
    marginPercent: '60',
    generationId: 'gen_1',
  }
  const available = async () => (await credits.getBalance({ userId })).available
  return { credits, estimate, available, userId }
}

const recorded = (totalCost: unknown) => async () => ({ id: 'gen_1', totalCost })

describe('an estimated charge is corrected from the record of the gateway', () => {
  it.each([
    ['given back, when it was too high', 0.01, '-2.4', '48.4'],
    ['taken, when it was too low', 0.05, '4', '42'],
    ['given back whole, when the call cost nothing', 0, '-4', '50'],
  ])('the difference is %s', async (_, totalCost, difference, left) => {
    const { credits, estimate, available } = await estimated()
    const ledger = collectedEstimates(credits, [estimate])
    const results = await reconcileEstimates({ ledger, getGenerationInfo: recorded(totalCost) })
    expect(results).toMatchObject([{ outcome: 'corrected', difference, uncollected: '0' }])
    expect(await available()).toBe(left)
    // A second run finds the same estimate again and changes nothing.
    await reconcileEstimates({ ledger, getGenerationInfo: recorded(totalCost) })
    expect(await available()).toBe(left)
  })

  it('an exact estimate makes no transaction', async () => {
    const { credits, estimate, available } = await estimated()
    const ledger = collectedEstimates(credits, [estimate])
    const results = await reconcileEstimates({ ledger, getGenerationInfo: recorded(0.025) })
    expect(results).toMatchObject([{ outcome: 'exact' }])
    expect(await available()).toBe('46')
  })

  it('a difference that the account cannot pay is taken as far as the balance goes', async () => {
    const { credits, estimate, available } = await estimated('5')
    const ledger = collectedEstimates(credits, [estimate])
    const results = await reconcileEstimates({ ledger, getGenerationInfo: recorded(0.05) })
    expect(results).toMatchObject([{ outcome: 'corrected', difference: '4', uncollected: '3' }])
    expect(await available()).toBe('0')
  })

  it.each([404, 425])('a record that is not there yet (%d) leaves the estimate for a later run', async (statusCode) => {
    const { credits, estimate, available } = await estimated()
    const getGenerationInfo = async () => {
      throw Object.assign(new Error('not found'), { statusCode })
    }
    const ledger = collectedEstimates(credits, [estimate])
    expect(await reconcileEstimates({ ledger, getGenerationInfo })).toMatchObject([{ outcome: 'pending' }])
    expect(await available()).toBe('46')
  })
})

describe('the work is read from the ledger', () => {
  const charge = (version: number): EstimatedCharge & { version: number } => ({
    transactionId: `transaction-${version}`,
    userId: 'user',
    amount: '4',
    marginPercent: '60',
    generationId: `gen_${version}`,
    version,
  })

  /** A ledger that lists the charges without a correction, a page at a time. */
  function ledgerOf(count: number) {
    const open = new Map(Array.from({ length: count }, (_, index) => [`transaction-${index}`, charge(index)]))
    const corrections: EstimateCorrection[] = []
    const ledger: EstimateLedger = {
      async getEstimates({ limit, after }) {
        const all = [...open.values()].filter(({ version }) => after === undefined || version > after.version)
        const data = all.slice(0, limit)
        const last = data.at(-1)
        const next = all.length > limit && last ? { accountId: 'account', version: last.version } : null
        return { data, next }
      },
      async correctEstimate(correction) {
        corrections.push(correction)
        open.delete(correction.transactionId)
        return { transaction: { id: `correction-${correction.transactionId}`, uncollected: '0' } }
      },
    }
    return { ledger, corrections, open }
  }

  it('page by page, each charge once', async () => {
    const { ledger, corrections } = ledgerOf(9)
    const results = await reconcileEstimates({ ledger, getGenerationInfo: recorded(0.01), pageSize: 4 })
    expect(results).toHaveLength(9)
    expect(new Set(corrections.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(9)
    const charge = { amount: '1.6', costUsd: '0.01', costSource: 'gateway-cost', generationId: 'gen_0' }
    expect(corrections[0]).toMatchObject({ userId: 'user', transactionId: 'transaction-0', charge })
  })

  it('and an exact estimate is marked, so that it is not looked up again', async () => {
    const { ledger, open } = ledgerOf(2)
    const results = await reconcileEstimates({ ledger, getGenerationInfo: recorded(0.025) })
    expect(results.map(({ outcome }) => outcome)).toEqual(['exact', 'exact'])
    expect(open.size).toBe(0)
  })

  it('so a run that was interrupted is continued by the next', async () => {
    const { ledger, corrections, open } = ledgerOf(6)
    let answers = 0
    const getGenerationInfo = async ({ id }: { id: string }) => {
      if (++answers > 3) throw new Error('the process ends')
      return { id, totalCost: 0.01 }
    }
    const first = await reconcileEstimates({ ledger, getGenerationInfo })
    expect(first.map(({ outcome }) => outcome)).toEqual([
      ...Array.from({ length: 3 }, () => 'corrected'),
      ...Array.from({ length: 3 }, () => 'failed'),
    ])
    expect(open.size).toBe(3)
    const second = await reconcileEstimates({ ledger, getGenerationInfo: recorded(0.01) })
    expect(second.map(({ outcome }) => outcome)).toEqual(['corrected', 'corrected', 'corrected'])
    expect(corrections).toHaveLength(6)
  })
})
