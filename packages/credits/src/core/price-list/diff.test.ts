import { describe, expect, it } from 'vitest'
import { codeOf, readList } from '../../../__tests__/kit/models.ts'
import { CreditError } from '../errors.ts'
import { diffRates } from './diff.ts'
import { parseModelList } from './parse.ts'

const feed = (...models: [id: string, pricing: unknown][]) =>
  parseModelList({ data: models.map(([id, pricing]) => ({ id, type: 'language', pricing })) })
const text = (input: string, more: object = {}) => ({ input, output: '0.00001', ...more })

describe('parseModelList', () => {
  it('reads the whole list, with types under their current names and unpriced models as unknown', () => {
    const rows = parseModelList(readList('gateway-models.json'))
    expect(rows).toHaveLength(413)
    expect(rows.find((row) => row.modelId === 'typesafe-ai/jev')).toMatchObject({ type: 'decision', known: true })
    expect(rows.filter((row) => row.pricing === null).map((row) => row.modelId)).toContain('cohere/rerank-v3.5')
    expect(rows.every((row) => row.known === (row.pricing !== null) && row.unknownKeys.length === 0)).toBe(true)
  })

  it('takes all zeros for a price only where the name says free', () => {
    const zero = { input: '0', output: '0' }
    expect(
      feed(['a/b-free', zero], ['a/b', zero], ['a/c', { varies_by_provider: true }]).map((row) => row.known),
    ).toEqual([true, false, false])
  })

  it('reads limits and reports unknown dimensions', () => {
    const raw = {
      data: [
        {
          id: 'a/b',
          type: 'language',
          pricing: text('0.1', { per_smile: '1' }),
          context_window: 200_000,
          max_tokens: 64_000,
        },
      ],
    }
    expect(parseModelList(raw)).toMatchObject([
      { contextWindow: 200_000, maxOutputTokens: 64_000, unknownKeys: ['per_smile'] },
    ])
  })

  it('reads getAvailableModels as a partial list', () => {
    const pricing = { input: '0.1', output: '0.2', cachedInputTokens: '0.01' }
    expect(
      parseModelList({
        models: [
          { id: 'a/b', modelType: 'language', pricing },
          { id: 'a/c', modelType: null, pricing: null },
        ],
      }),
    ).toMatchObject([
      { modelId: 'a/b', partial: true, pricing: { input: '0.1', output: '0.2', input_cache_read: '0.01' } },
      { modelId: 'a/c', known: false },
    ])
  })

  it.each([
    [{ data: [{ id: 'a/b', type: 'language', pricing: { input: '1e309' } }] }, 'data[0].pricing.input'],
    [{ data: [{ id: 'a/b', type: 'language', pricing: { input: '-1' } }] }, 'data[0].pricing.input'],
    [{ data: [{ id: '', type: 'language' }] }, 'data[0].id'],
    [{ data: [] }, 'data'],
    [
      {
        data: [
          { id: 'a/b', type: 'x' },
          { id: 'a/b', type: 'x' },
        ],
      },
      'data[1].id',
    ],
    [{ models: [{ id: 'a/b', pricing: { input: 'NaN', output: '1' } }] }, 'models[0].pricing.input'],
    ['<html>', ''],
    [null, ''],
  ])('refuses the malformed list %j, naming the path', (raw, path) => {
    expect(codeOf(() => parseModelList(raw))).toBe('INVALID_INPUT')
    try {
      parseModelList(raw)
    } catch (error) {
      expect(CreditError.isInstance(error) && error.code === 'INVALID_INPUT' && error.details.issues?.[0]?.path).toBe(
        path,
      )
    }
  })
})

describe('diffRates', () => {
  const current = feed(['a/b', text('0.000003')], ['a/c', text('0.000001')], ['a/d', {}])
  const change = (id: string, pricing: unknown) => {
    const next = feed(['a/b', text('0.000003')], ['a/c', text('0.000001')], ['a/d', {}]).filter(
      (row) => row.modelId !== id,
    )
    return diffRates(current, [...next, ...feed([id, pricing])])
  }

  it('finds nothing in the same list, however its prices are spelt', () => {
    expect(diffRates(current, current)).toEqual({ inserted: [], changed: [], held: [], gone: [], unchanged: 3 })
    expect(change('a/b', text('3e-6')).unchanged).toBe(3)
  })

  it('lets small changes, new models and newly known prices through', () => {
    expect(change('a/b', text('0.000009')).changed).toMatchObject([
      { modelId: 'a/b', moves: [{ path: 'input', from: '0.000003', to: '0.000009' }] },
    ])
    expect(change('a/new', text('0.5')).inserted).toMatchObject([{ modelId: 'a/new' }])
    expect(change('a/d', text('0.000001')).changed).toMatchObject([{ modelId: 'a/d' }])
    expect(change('a/b', text('0.000003', { web_search: '10' })).changed).toMatchObject([
      { moves: [{ path: 'web_search', from: null, to: '10' }] },
    ])
  })

  it.each([
    ['more than 3x dearer', text('0.0000090001'), 'input: 0.000003 -> 0.0000090001 is more than 3x'],
    ['more than 3x cheaper', text('0.0000009'), 'input: 0.000003 -> 0.0000009 is more than 3x'],
    ['free', text('0'), 'input: from 0.000003 to 0'],
    ['gone', {}, 'the price vanished'],
  ])('holds a price that becomes %s', (_, pricing, reason) => {
    const diff = change('a/b', pricing)
    expect(diff.changed).toEqual([])
    expect(diff.held).toMatchObject([{ modelId: 'a/b', reasons: [reason] }])
  })

  it('a new model that costs nothing waits for a person, a new model with a price does not', () => {
    const zero = { input: '0', output: '0' }
    const diff = diffRates([], feed(['a/new-free', zero], ['a/new', { input: '0', output: '0.00001' }]))
    expect(diff.held).toMatchObject([{ modelId: 'a/new-free', reasons: ['a new model that costs nothing'] }])
    expect(diff.inserted.map(({ modelId }) => modelId)).toEqual(['a/new'])
  })

  it('holds a price that rises from 0, and one deep inside a tier', () => {
    const zero = feed(['a/b', text('0')])
    expect(diffRates(zero, feed(['a/b', text('0.1')])).held).toMatchObject([{ reasons: ['input: from 0 to 0.1'] }])
    const tiered = (cost: string) =>
      feed([
        'a/b',
        text('0.1', {
          input_tiers: [
            { cost: '0.1', max: 9 },
            { cost, min: 9 },
          ],
        }),
      ])
    expect(diffRates(tiered('0.2'), tiered('0.7')).held).toMatchObject([
      { moves: [{ path: 'input_tiers[min=9].cost' }] },
    ])
  })

  it('holds everything when more than a tenth of the models are missing', () => {
    const many = feed(...Array.from({ length: 20 }, (_, index): [string, unknown] => [`a/${index}`, text('0.1')]))
    const next = [...many.slice(0, -1), ...feed(['a/0', text('0.11')])].filter(
      (row, index) => index > 0 || row.modelId !== 'a/0',
    )
    expect(diffRates(many, next)).toMatchObject({ gone: ['a/19'], held: [], changed: [{ modelId: 'a/0' }] })
    const fewer = next.slice(2)
    expect(diffRates(many, fewer)).toMatchObject({
      changed: [],
      held: [{ modelId: 'a/0', reasons: ['3 of 20 models are missing from the list'] }],
    })
  })

  it('never lets a partial source overwrite a fuller price', () => {
    const full = feed(['a/b', text('0.1', { web_search: '10' })])
    const partial = (input: string) =>
      parseModelList({ models: [{ id: 'a/b', modelType: 'language', pricing: { input, output: '0.00001' } }] })
    expect(diffRates(full, partial('0.1'))).toMatchObject({ unchanged: 1 })
    expect(diffRates(full, partial('0.11')).held).toMatchObject([
      { reasons: ['the source has only part of the prices'] },
    ])
  })
})

describe('prices of batches and of providers', () => {
  it('gives a model the batch prices that the list has under another id, tiers included', () => {
    const tiers = [
      { cost: '0.0000005', min: 0, max: 1000 },
      { cost: '0.000001', min: 1000 },
    ]
    const batch = { input: '0.0000005', output: '0.000001', input_tiers: tiers, web_search: '10' }
    const [model, own] = feed(['a/b', text('0.000001')], ['a/b-batch', batch])
    expect(model?.pricing).toMatchObject({
      input: '0.000001',
      batch: { input: '0.0000005', output: '0.000001', input_tiers: tiers },
    })
    expect(model?.pricing?.batch).not.toHaveProperty('web_search')
    expect(own?.pricing).toEqual(batch)
    expect(model?.unknownKeys).toEqual([])
  })

  it("does not miss prices of providers in the gateway's list, nor the gateway's in a list of theirs", () => {
    const current = [
      ...feed(['a/b', text('0.000001')]),
      ...feed(['groq:a/b', text('0.000002')], ['groq:c', text('0.1')]),
    ]
    const sameList = diffRates(current, feed(['a/b', text('0.000001')]))
    expect(sameList).toMatchObject({ gone: [], held: [], unchanged: 1 })
    const providers = diffRates(current, feed(['groq:a/b', text('0.0000021')], ['groq:c', text('0.1')]))
    expect(providers).toMatchObject({ gone: [], held: [], changed: [{ modelId: 'groq:a/b' }] })
  })
})
