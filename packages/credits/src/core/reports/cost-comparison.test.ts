import { describe, expect, it } from 'vitest'
import { type DriftOptions, type DriftRow, driftTally, reconcileCosts } from './cost-comparison.ts'

function driftReport(rows: readonly DriftRow[], options?: DriftOptions) {
  const tally = driftTally(options)
  for (const row of rows) tally.add(row)
  return tally.report()
}

const row = (
  computedCostUsd: string | null,
  reportedCostUsd: string | null,
  model = 'a/b',
  createdAt = '2026-11-13T12:00:00Z',
) => ({
  model,
  computedCostUsd,
  reportedCostUsd,
  createdAt,
})

describe('the comparison of computed and reported costs', () => {
  it('adds up both figures by model and day before it compares them, and puts the furthest first', () => {
    const rows = [
      row('0.01', '0.011'),
      row('0.02', '0.019'),
      row('3', '1', 'c/d'),
      row('0.01', '0.01', 'a/b', '2026-11-14T00:00:00Z'),
    ]
    expect(driftReport(rows)).toEqual([
      {
        model: 'c/d',
        day: '2026-11-13',
        calls: 1,
        computedUsd: '3',
        reportedUsd: '1',
        driftPercent: '-66.6667',
        alert: true,
      },
      {
        model: 'a/b',
        day: '2026-11-13',
        calls: 2,
        computedUsd: '0.03',
        reportedUsd: '0.03',
        driftPercent: '0',
        alert: false,
      },
      {
        model: 'a/b',
        day: '2026-11-14',
        calls: 1,
        computedUsd: '0.01',
        reportedUsd: '0.01',
        driftPercent: '0',
        alert: false,
      },
    ])
  })

  it('alerts beyond the threshold, either way, not at it', () => {
    const alerts = (reported: string) => driftReport([row('1', reported)], { thresholdPercent: '5' })[0]?.alert
    expect(['1.05', '1.050001', '0.95', '0.949999'].map(alerts)).toEqual([false, true, false, true])
  })

  it('alerts on a cost that we computed as nothing, and leaves out rows that know one figure', () => {
    expect(driftReport([row('0', '0.1')])).toMatchObject([{ driftPercent: null, alert: true }])
    expect(driftReport([row('0', '0')])).toMatchObject([{ driftPercent: '0', alert: false }])
    expect(driftReport([row(null, '1'), row('1', null)])).toEqual([])
  })
})

describe('reconcileCosts', () => {
  it('names what differs and what one side has never heard of', () => {
    const ledger = [
      { transactionId: 't1', generationId: 'g1', costUsd: '0.010' },
      { transactionId: 't2', generationId: 'g2', costUsd: '0.02' },
      { transactionId: 't3', generationId: 'g2', costUsd: '0.02' },
      { transactionId: 't4', generationId: 'g4', costUsd: '0.01' },
      { transactionId: 't5', generationId: null, costUsd: '0.01' },
    ]
    const reported = [
      { generationId: 'g1', costUsd: '0.01' },
      { generationId: 'g2', costUsd: '0.02' },
      { generationId: 'g3', costUsd: '0.03' },
    ]
    expect(reconcileCosts({ reported, ledger })).toEqual({
      matched: 1,
      differing: [{ generationId: 'g2', transactionIds: ['t2', 't3'], ledgerUsd: '0.04', reportedUsd: '0.02' }],
      missingInLedger: [{ generationId: 'g3', costUsd: '0.03' }],
      missingInReport: [ledger[4], ledger[3]],
    })
  })
})
