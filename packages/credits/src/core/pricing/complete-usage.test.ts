import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { completeUsage } from './complete-usage.ts'
import { normalizeUsage } from './normalize-usage.ts'

describe('completeUsage', () => {
  it('believes a usage that fits what was seen', () => {
    const reported = { inputTokens: 120, outputTokens: 50, cacheReadTokens: 20 }
    expect(completeUsage(reported, { inputTextTokens: 150, textTokens: 70 })).toEqual({
      usage: reported,
      flags: [],
      estimated: false,
    })
  })

  it.each([
    ['missing', undefined],
    ['zero', 0],
    ['not a number', Number.NaN],
    ['negative', -5],
    ['absurd', 1e15],
    ['far below what was seen', 900],
  ])('takes an output count that is %s from what was seen', (_, outputTokens) => {
    const seen = { textTokens: 2000, reasoningTokens: 800, toolInputTokens: 150 }
    const { usage, estimated, flags } = completeUsage({ inputTokens: 120, outputTokens }, seen)
    expect(usage).toEqual({ inputTokens: 120, outputTokens: 2950 })
    expect(estimated).toBe(true)
    expect(flags).toContain('usage_estimated')
  })

  it('believes an output count down to a third of what was seen, and any small difference', () => {
    expect(completeUsage({ inputTokens: 1, outputTokens: 984 }, { textTokens: 2950 }).estimated).toBe(false)
    expect(completeUsage({ inputTokens: 1, outputTokens: 983 }, { textTokens: 2950 }).estimated).toBe(true)
    expect(completeUsage({ inputTokens: 1, outputTokens: 2 }, { textTokens: 17 }).estimated).toBe(false)
  })

  it('takes the input from the prompt when it is missing or zero, files included', () => {
    const seen = { inputTextTokens: 100, inputFileTokens: 1500, textTokens: 10 }
    for (const inputTokens of [undefined, 0]) {
      expect(completeUsage({ inputTokens, outputTokens: 10 }, seen).usage.inputTokens).toBe(1600)
    }
    expect(completeUsage({ inputTokens: 110, outputTokens: 10 }, seen)).toMatchObject({ estimated: false })
  })

  it('estimates a whole usage that was lost', () => {
    for (const reported of [undefined, null, {}, 'lost', []]) {
      expect(completeUsage(reported, { inputTextTokens: 12, textTokens: 30 })).toMatchObject({
        usage: { inputTokens: 12, outputTokens: 30 },
        estimated: true,
      })
    }
  })

  it('says that a malformed count was ignored', () => {
    expect(completeUsage({ prompt_tokens: 5, completion_tokens: 'x' }, { textTokens: 3 })).toEqual({
      usage: { inputTokens: 5, outputTokens: 3 },
      flags: ['usage_invalid', 'usage_estimated'],
      estimated: true,
    })
  })

  it('caps a usage at what the call could have used, its parts with it', () => {
    const reported = { inputTokens: 1_000_000, cacheReadTokens: 500_000, outputTokens: 80_000_000 }
    expect(completeUsage(reported, {}, { inputTokens: 200_000, outputTokens: 64_000 })).toEqual({
      usage: { inputTokens: 200_000, cacheReadTokens: 100_000, outputTokens: 64_000 },
      flags: ['usage_capped'],
      estimated: false,
    })
  })

  it('adds no tokens to a call that is counted by something else', () => {
    expect(completeUsage({ seconds: 12 }, { inputTextTokens: 50 }).usage).toEqual({ seconds: 12 })
    expect(completeUsage({ tokens: 12 }, { inputTextTokens: 50 }).usage).toEqual({ tokens: 12 })
  })

  it('never throws, and what it gives can be normalised whenever something was seen', () => {
    fc.assert(
      fc.property(fc.anything(), fc.nat(5000), (reported, textTokens) => {
        const { usage } = completeUsage(reported, { textTokens: textTokens + 1 })
        expect(normalizeUsage(usage).usage).toEqual(usage)
      }),
      { numRuns: 2000 },
    )
  })
})
