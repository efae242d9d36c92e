import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../../../__tests__/kit/models.ts'
import { normalizeUsage, readUsage } from './normalize-usage.ts'

describe('normalizeUsage', () => {
  it('reads the usage object of AI SDK results', () => {
    const usage = {
      inputTokens: 120,
      inputTokenDetails: { noCacheTokens: 20, cacheReadTokens: 70, cacheWriteTokens: 30 },
      outputTokens: 50,
      outputTokenDetails: { textTokens: 10, reasoningTokens: 40 },
      totalTokens: 170,
      raw: {
        cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
        server_tool_use: { web_search_requests: 2 },
      },
    }
    expect(normalizeUsage(usage)).toEqual({
      usage: {
        inputTokens: 120,
        cacheReadTokens: 70,
        cacheWriteTokens: 30,
        cacheWrite1hTokens: 20,
        outputTokens: 50,
        reasoningTokens: 40,
        webSearches: 2,
      },
      flags: [],
    })
  })

  it('reads the usage object of language models, and adds up the parts where the total is missing', () => {
    const total = {
      inputTokens: { total: 9, noCache: 4, cacheRead: 5, cacheWrite: undefined },
      outputTokens: { total: 3, text: 3, reasoning: undefined },
    }
    expect(normalizeUsage(total).usage).toEqual({ inputTokens: 9, cacheReadTokens: 5, outputTokens: 3 })
    const parts = { inputTokens: { noCache: 4, cacheRead: 5, cacheWrite: 1 }, outputTokens: { text: 3, reasoning: 4 } }
    expect(normalizeUsage(parts).usage).toMatchObject({ inputTokens: 10, outputTokens: 7, reasoningTokens: 4 })
  })

  it('reads embeddings, streamed speech, and the flat shape of older SDKs, with flat fields added', () => {
    expect(normalizeUsage({ tokens: 7 }).usage).toEqual({ tokens: 7 })
    expect(codeOf(() => normalizeUsage({ tokens: Number.NaN }))).toBe('USAGE_MISSING')
    expect(normalizeUsage({ inputCharacters: 12 } as object).usage).toEqual({ characters: 12 })
    expect(normalizeUsage({ inputTokens: 5, cachedInputTokens: 2, serviceTier: 'flex' } as object).usage).toEqual({
      inputTokens: 5,
      cacheReadTokens: 2,
      serviceTier: 'flex',
    })
  })

  it('takes null for absent, as a database row does', () => {
    expect(normalizeUsage({ inputTokens: 5, outputTokens: null, tokens: null } as object).usage).toEqual({
      inputTokens: 5,
    })
  })

  it('flags what does not add up, and gives the same answer for its own answer', () => {
    const count = fc.option(fc.nat(50), { nil: undefined })
    const usages = fc.record({
      inputTokens: count,
      cacheReadTokens: count,
      cacheWriteTokens: count,
      cacheWrite1hTokens: count,
      outputTokens: count,
      reasoningTokens: count,
      audioInputTokens: count,
      audioOutputTokens: count,
    })
    fc.assert(
      fc.property(usages, (usage) => {
        const first = readUsage(usage)
        expect(readUsage(first.usage).usage).toEqual(first.usage)
      }),
    )
    expect(normalizeUsage({ inputTokens: 5, cacheReadTokens: 6 }).flags).toEqual(['usage_inconsistent'])
    expect(normalizeUsage({ outputTokens: 5, reasoningTokens: 6 }).flags).toEqual(['usage_inconsistent'])
    expect(normalizeUsage({ inputTokens: 5, audioInputTokens: 6 })).toEqual({
      usage: { inputTokens: 11, audioInputTokens: 6 },
      flags: ['usage_inconsistent'],
    })
  })

  it('names the field at fault', () => {
    expect(() => normalizeUsage({ inputTokens: { total: -1 } })).toThrow(/^usage\.inputTokens: /)
    expect(codeOf(() => normalizeUsage({ size: 'x'.repeat(201) }))).toBe('INVALID_INPUT')
  })
})
