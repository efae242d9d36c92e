import { describe, expect, it } from 'vitest'
import { codeOf } from '../../../__tests__/kit/models.ts'
import { type EffectiveMargin, selectMargin } from './margins.ts'
import { requireRate, selectRate } from './rates.ts'

const asOf = '2026-11-13T10:00:00.000000Z'
const margin = (
  scope: EffectiveMargin['scope'],
  target: string,
  marginPercent: string | null,
  version = 1,
  effectiveFrom = '2026-01-01T00:00:00Z',
) => ({
  scope,
  target,
  marginPercent,
  version,
  effectiveFrom,
})

describe('selectMargin', () => {
  const scopes = [
    margin('default', '', '60'),
    margin('plan', 'pro', '50'),
    margin('feature', 'chat', '40'),
    margin('provider', 'anthropic', '30'),
    margin('model', 'anthropic/claude-sonnet-4.5', '20'),
  ]
  const query = { modelId: 'anthropic/claude-sonnet-4.5', feature: 'chat', planId: 'pro' }
  const percent = (margins: ReturnType<typeof margin>[], of: object = query) =>
    selectMargin({ margins, asOf }, of)?.marginPercent

  it('takes the first of model, provider, feature, plan, default', () => {
    expect([5, 4, 3, 2, 1].map((kept) => percent(scopes.slice(0, kept)))).toEqual(['20', '30', '40', '50', '60'])
    expect(selectMargin({ margins: [], asOf }, query)).toBeNull()
  })

  it('takes the margin of the rate that was found, where the model was called by another id', () => {
    const called = { modelId: 'amazon-bedrock:us.anthropic.claude-x', rateModelId: 'anthropic/claude-sonnet-4.5' }
    expect(percent(scopes, called)).toBe('20')
    expect(percent(scopes.slice(0, 4), called)).toBe('30')
    expect(percent([...scopes, margin('provider', 'amazon-bedrock', '10')].slice(-1), called)).toBe('10')
  })

  it('ignores overrides that are for something else', () => {
    expect(percent(scopes, { modelId: 'openai/gpt-5' })).toBe('60')
    expect(percent(scopes, { modelId: 'anthropic-x/y', feature: 'chats', planId: null })).toBe('60')
    expect(percent([margin('default', 'x', '1')], {})).toBeUndefined()
  })

  it('falls through a removed override', () => {
    expect(percent([...scopes, margin('model', 'anthropic/claude-sonnet-4.5', null, 2)])).toBe('30')
  })

  it('changes at the microsecond from which a row is in force, and keeps the latest decision', () => {
    const margins = [
      margin('default', '', '60'),
      margin('default', '', '70', 2, '2026-11-13T10:00:00.000001Z'),
      margin('default', '', '80', 3, '2026-12-01T00:00:00+00:00'),
    ]
    const at = (time: string) => percent(margins, { at: time })
    expect(at('2026-11-13T10:00:00Z')).toBe('60')
    expect(at('2026-11-13T10:00:00.000001Z')).toBe('70')
    expect(at('2026-11-30T23:59:59.999Z')).toBe('70')
    expect(at('2026-12-01T00:00:00Z')).toBe('80')
    expect(at('2025-01-01T00:00:00Z')).toBeUndefined()
    // Version 3 was decided after version 2, so the earlier schedule does not come back.
    const moved = [margins[0], { ...margins[1], effectiveFrom: '2026-12-24T00:00:00Z' }, margins[2]] as typeof margins
    expect(percent(moved, { at: '2026-12-25T00:00:00Z' })).toBe('80')
  })

  it('refuses a time without a zone', () => {
    for (const at of ['2026-11-13', '2026-11-13T10:00:00', 'now', '']) {
      expect(codeOf(() => selectMargin({ margins: scopes, asOf }, { at }))).toBe('INVALID_INPUT')
    }
  })
})

describe('selectRate', () => {
  const rate = (modelId: string, known = true, effectiveFrom = '2026-01-01T00:00:00Z', id = modelId) => ({
    id,
    modelId,
    known,
    effectiveFrom,
  })
  const find = (rates: ReturnType<typeof rate>[], modelId: string, aliases: Record<string, string> = {}, at?: string) =>
    selectRate({ rates, aliases, asOf }, { modelId, at })?.id

  it('takes the latest row that is in force', () => {
    const rates = [
      rate('a/b'),
      rate('a/b', true, '2026-12-01T00:00:00Z', 'scheduled'),
      rate('a/b', true, '2026-06-01T00:00:00Z', 'summer'),
    ]
    expect(find(rates, 'a/b')).toBe('summer')
    expect(find(rates, 'a/b', {}, '2026-12-01T00:00:00Z')).toBe('scheduled')
    expect(find(rates, 'a/b', {}, '2025-12-01T00:00:00Z')).toBeUndefined()
  })

  it('follows renames, but prefers a price under the own name', () => {
    const aliases = { 'xai/grok': 'spacexai/grok', 'old/grok': 'xai/grok' }
    expect(find([rate('spacexai/grok')], 'old/grok', aliases)).toBe('spacexai/grok')
    expect(find([rate('xai/grok'), rate('spacexai/grok')], 'xai/grok', aliases)).toBe('xai/grok')
    expect(find([rate('xai/grok', false), rate('spacexai/grok')], 'xai/grok', aliases)).toBe('spacexai/grok')
    expect(find([rate('xai/grok', false)], 'xai/grok', aliases)).toBe('xai/grok')
  })

  it('survives renames in a circle and names of prototypes', () => {
    expect(find([], 'a', { a: 'b', b: 'a' })).toBeUndefined()
    expect(find([], '__proto__')).toBeUndefined()
    expect(find([], 'constructor')).toBeUndefined()
  })

  it('is refused with UNKNOWN_MODEL where a price is required and there is none', () => {
    const snapshot = { rates: [rate('a/b', false)], aliases: {}, asOf }
    for (const modelId of ['a/b', 'nobody/nothing'])
      expect(codeOf(() => requireRate(snapshot, { modelId }))).toBe('UNKNOWN_MODEL')
    expect(requireRate({ ...snapshot, rates: [rate('a/b')] }, { modelId: 'a/b' }).id).toBe('a/b')
  })
})
