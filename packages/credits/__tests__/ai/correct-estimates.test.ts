import { describe, expect, it } from 'vitest'
import { reconcileEstimates } from '../../src/ai/charge/correct-estimates.ts'
import { createCredits, memoryStore } from '../../src/index.ts'
import { chargeOf } from '../../src/testing/case.ts'

/** A user who was charged estimates of 4 credits each (0.025 USD at 60 percent). */
async function estimated({ balance = '50', count = 1, generationIds = [] as string[] } = {}) {
  const store = memoryStore({ rates: [], signupCredits: balance })
  const { userId } = store.createAccount()
  const credits = createCredits({ store })
  const transactionIds: string[] = []
  for (let place = 0; place < count; place++) {
    const { reservationId } = await credits.reserve({ userId, amount: '4' })
    const generationId = generationIds[place] ?? `gen_${place}`
    const charge = chargeOf('4', { costUsd: '0.025', costSource: 'estimate', generationId })
    const { transaction } = await credits.settle({ userId, reservationId, charge })
    transactionIds.push(transaction?.id ?? '')
  }
  const available = async () => (await credits.getBalance({ userId })).available
  const open = async () => (await credits.getEstimates()).data.map(({ transactionId }) => transactionId)
  return { credits, available, open, transactionIds, userId }
}

const recorded = (totalCost: unknown) => async () => ({ id: 'gen_0', totalCost })

describe('an estimated charge is corrected from the record of the gateway', () => {
  it.each([
    ['given back, when it was too high', 0.01, '-2.4', '48.4'],
    ['taken, when it was too low', 0.05, '4', '42'],
    ['given back whole, when the call cost nothing', 0, '-4', '50'],
  ])('the difference is %s', async (_, totalCost, difference, left) => {
    const { credits, available } = await estimated()
    const results = await reconcileEstimates({ credits, getGenerationInfo: recorded(totalCost) })
    expect(results).toMatchObject([{ outcome: 'corrected', difference, uncollected: '0' }])
    expect(await available()).toBe(left)
    expect(await reconcileEstimates({ credits, getGenerationInfo: recorded(totalCost) })).toEqual([])
    expect(await available()).toBe(left)
  })

  it('the charge is that of the record, at the margin of the estimate', async () => {
    const { credits, transactionIds } = await estimated()
    await reconcileEstimates({ credits, getGenerationInfo: recorded(0.01) })
    const charges: unknown[] = []
    for await (const charge of credits.charges()) charges.push(charge)
    const expected = { amount: '1.6', costUsd: '0.01', costSource: 'gateway-cost', generationId: 'gen_0' }
    expect(charges).toMatchObject([{ transactionId: transactionIds[0], ...expected, estimated: false }])
  })

  it('an exact estimate moves no credits and is marked, so that it is not looked up again', async () => {
    const { credits, available, open } = await estimated({ count: 2 })
    const results = await reconcileEstimates({ credits, getGenerationInfo: recorded(0.025) })
    expect(results).toMatchObject([{ outcome: 'exact' }, { outcome: 'exact' }])
    expect(await available()).toBe('42')
    expect(await open()).toEqual([])
  })

  it('a difference that the account cannot pay is taken as far as the balance goes, the rest is uncollected', async () => {
    const { credits, available, userId } = await estimated({ balance: '5' })
    const results = await reconcileEstimates({ credits, getGenerationInfo: recorded(0.05) })
    expect(results).toMatchObject([{ outcome: 'corrected', difference: '4', uncollected: '3' }])
    expect(await available()).toBe('0')
    const { data } = await credits.getHistory({ userId })
    expect(data[0]).toMatchObject({ type: 'usage', amount: '-1', uncollected: '3' })
  })

  it.each([404, 425])('a record that is not there yet (%d) leaves the estimate for a later run', async (statusCode) => {
    const { credits, available, open, transactionIds } = await estimated()
    const getGenerationInfo = async () => {
      throw Object.assign(new Error('not found'), { statusCode })
    }
    expect(await reconcileEstimates({ credits, getGenerationInfo })).toMatchObject([{ outcome: 'pending' }])
    expect(await available()).toBe('46')
    expect(await open()).toEqual(transactionIds)
  })

  it('a charge without a margin is reported as failed and left as it is', async () => {
    const { credits, userId, available } = await estimated({ count: 0 })
    const { reservationId } = await credits.reserve({ userId, amount: '4' })
    const charge = chargeOf('4', { costSource: 'estimate', generationId: 'gen_0', marginPercent: null })
    await credits.settle({ userId, reservationId, charge })
    const results = await reconcileEstimates({ credits, getGenerationInfo: recorded(0.05) })
    expect(results).toMatchObject([{ outcome: 'failed', error: { code: 'INVALID_INPUT' } }])
    expect(await available()).toBe('46')
  })
})

describe('the work is read from the ledger', () => {
  it('page by page, each charge once, two charges of one generation too', async () => {
    const generationIds = ['gen_0', 'gen_0']
    const { credits, available, transactionIds } = await estimated({ count: 9, generationIds })
    const results = await reconcileEstimates({ credits, getGenerationInfo: recorded(0.01), pageSize: 4 })
    expect(results.map(({ transactionId }) => transactionId)).toEqual(transactionIds)
    expect(results.every(({ outcome }) => outcome === 'corrected')).toBe(true)
    expect(await available()).toBe('35.6')
  })

  it('and so a run that was interrupted is continued by the next', async () => {
    const { credits, open, available } = await estimated({ count: 6 })
    let answers = 0
    const getGenerationInfo = async ({ id }: { id: string }) => {
      if (++answers > 3) throw new Error('the process ends')
      return { id, totalCost: 0.01 }
    }
    const first = await reconcileEstimates({ credits, getGenerationInfo })
    const outcomes = first.map(({ outcome }) => outcome)
    expect(outcomes).toEqual(['corrected', 'corrected', 'corrected', 'failed', 'failed', 'failed'])
    expect(await open()).toHaveLength(3)
    const second = await reconcileEstimates({ credits, getGenerationInfo: recorded(0.01) })
    expect(second.map(({ outcome }) => outcome)).toEqual(['corrected', 'corrected', 'corrected'])
    expect(await available()).toBe('40.4')
  })

  it('two runs at the same time correct each charge once', async () => {
    const { credits, available } = await estimated({ count: 3 })
    const run = () => reconcileEstimates({ credits, getGenerationInfo: recorded(0.05) })
    const results = (await Promise.all([run(), run()])).flat()
    expect(results.filter(({ outcome }) => outcome === 'failed')).toEqual([])
    expect(await available()).toBe('26')
  })
})
