import { describe, expect, it } from 'vitest'
import { calculateCredits } from './calculate.ts'
import type { EffectiveMargin } from './margins.ts'
import { type ChargedRow, profitReport, whatIf } from './what-if.ts'

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

describe('profitReport', () => {
  it('adds up revenue, cost and profit exactly, by model, feature, plan and day', () => {
    const rows = [row(), row({ feature: null, planId: null }), row({ createdAt: '2026-11-14T00:00:00Z', model: null })]
    const report = profitReport(rows)
    expect(report.total).toEqual({
      calls: 3,
      credits: '10.08',
      revenueUsd: '0.1008',
      costUsd: '0.063',
      profitUsd: '0.0378',
    })
    expect(Object.keys(report.by.model)).toEqual([sonnet.modelId, '(none)'])
    expect(report.by.feature['(none)']?.calls).toBe(1)
    expect(report.by.plan.pro?.calls).toBe(2)
    expect(report.by.day).toMatchObject({ '2026-11-13': { calls: 2 }, '2026-11-14': { calls: 1 } })
  })
})

describe('whatIf', () => {
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
