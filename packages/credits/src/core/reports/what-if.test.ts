import { describe, expect, it } from 'vitest'
import { calculateCredits } from '../pricing/calculate.ts'
import type { EffectiveMargin } from '../pricing/margins.ts'
import { profitTally } from './profit.ts'
import { type ChargedRow, type WhatIf, whatIfTally } from './what-if.ts'

function profitReport(rows: readonly ChargedRow[]) {
  const tally = profitTally()
  for (const row of rows) tally.add(row, row)
  return tally.report()
}

function whatIf(rows: readonly ChargedRow[], change: WhatIf) {
  const tally = whatIfTally(change)
  for (const row of rows) tally.add(row)
  return tally.report()
}

const sonnet = {
  modelId: 'anthropic/claude-sonnet-4.5',
  type: 'language',
  known: true,
  effectiveFrom: '2026-01-01T00:00:00Z',
  pricing: { input: '0.000003', output: '0.000015' },
}
const usage = { inputTokens: 2000, outputTokens: 1000 }
const row = (more: Partial<ChargedRow> = {}): ChargedRow => {
  const charge = calculateCredits(usage, { rate: sonnet, marginPercent: '60' })
  const { credits: amount, costUsd } = charge
  return {
    amount,
    costUsd,
    marginPercent: '60',
    model: sonnet.modelId,
    feature: 'chat',
    planId: 'pro',
    usage,
    createdAt: '2026-11-13T23:59:59Z',
    ...more,
  }
}
const margin = (scope: EffectiveMargin['scope'], target: string, marginPercent: string): EffectiveMargin => ({
  scope,
  target,
  marginPercent,
  version: 1,
  effectiveFrom: '2026-01-01T00:00:00Z',
})

describe('the profit report', () => {
  it('adds up revenue, cost and profit exactly, by model, feature, plan and day', () => {
    const rows = [row(), row({ feature: null, planId: null }), row({ createdAt: '2026-11-14T00:00:00Z', model: null })]
    const report = profitReport(rows)
    expect(report.total).toEqual({
      calls: 3,
      credits: '10.08',
      revenueUsd: '0.1008',
      costUsd: '0.063',
      profitUsd: '0.0378',
      profitPercent: '60',
      refunded: '0',
      uncollected: '0',
    })
    expect(Object.keys(report.by.model)).toEqual([sonnet.modelId, '(none)'])
    expect(report.by.feature['(none)']?.calls).toBe(1)
    expect(report.by.plan.pro?.calls).toBe(2)
    expect(report.by.day).toMatchObject({ '2026-11-13': { calls: 2 }, '2026-11-14': { calls: 1 } })
  })

  it('counts as revenue what was taken and kept, and says what was given back or never came', () => {
    const { total } = profitReport([row({ amount: '3', uncollected: '0.36' }), row({ refunded: '1.36' })])
    expect(total).toMatchObject({ credits: '5', refunded: '1.36', uncollected: '0.36', revenueUsd: '0.05' })
  })

  it('has no percentage where nothing was paid for', () => {
    expect(profitReport([row({ costUsd: '0' })]).total.profitPercent).toBeNull()
    expect(profitReport([]).total.profitPercent).toBe('0')
  })
})

describe('the replay under other prices', () => {
  it('leaves everything as it was when nothing changes', () => {
    const rows = [row(), row({ model: null, usage: null, marginPercent: null })]
    const report = whatIf(rows, {})
    expect(report.hypothetical).toEqual(report.actual)
    expect(report.unchanged).toBe(1)
  })

  it('replays with other margins, chosen per row as for a live call', () => {
    const margins = [margin('default', '', '100'), margin('feature', 'chat', '0')]
    const { actual, hypothetical } = whatIf([row(), row({ feature: 'search' })], { margins })
    expect(actual.total.credits).toBe('6.72')
    expect(hypothetical.by.feature).toMatchObject({
      chat: { credits: '2.1', profitUsd: '0' },
      search: { credits: '4.2', profitUsd: '0.021' },
    })
  })

  it('keeps what a row was charged with where a margin that stays takes precedence', () => {
    const change = { margins: [margin('default', '', '100')], kept: [margin('feature', 'chat', '60')] }
    const { hypothetical } = whatIf([row(), row({ feature: 'search' })], change)
    expect(hypothetical.by.feature).toMatchObject({ chat: { credits: '3.36' }, search: { credits: '4.2' } })
    const removed = {
      ...change,
      margins: [...change.margins, { ...margin('feature', 'chat', '0'), marginPercent: null }],
    }
    expect(whatIf([row()], removed).hypothetical.total.credits).toBe('4.2')
  })

  it('takes no more than there was where credits had run out, and gives back no more than it takes', () => {
    const margins = [margin('default', '', '100')]
    const { total } = whatIf([row({ amount: '3', uncollected: '0.36' })], { margins }).hypothetical
    expect(total).toMatchObject({ credits: '3', uncollected: '1.2' })
    expect(whatIf([row({ refunded: '3.36' })], { margins }).hypothetical.total).toMatchObject({
      credits: '0',
      refunded: '4.2',
    })
    const cheap = { margins: [margin('default', '', '0')] }
    expect(whatIf([row({ refunded: '3' })], cheap).hypothetical.total).toMatchObject({ credits: '0', refunded: '2.1' })
  })

  it('replays with other rates, following renames, and keeps what has no price there', () => {
    const cheaper = { ...sonnet, modelId: 'anthropic/renamed', pricing: { input: '0.0000015', output: '0.0000075' } }
    const report = whatIf([row(), row({ model: 'other/model' })], {
      rates: [cheaper],
      aliases: { [sonnet.modelId]: 'anthropic/renamed' },
    })
    expect(report.hypothetical.by.model[sonnet.modelId]).toMatchObject({ costUsd: '0.0105', credits: '1.68' })
    expect(report.hypothetical.by.model['other/model']?.credits).toBe('3.36')
    expect(report.unchanged).toBe(1)
  })
})
