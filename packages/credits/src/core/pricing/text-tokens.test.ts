import fc from 'fast-check'
import { encode as cl100k } from 'gpt-tokenizer/encoding/cl100k_base'
import { encode as o200k } from 'gpt-tokenizer/encoding/o200k_base'
import { describe, expect, it } from 'vitest'
import { TEXTS } from '../../../__tests__/kit/texts.ts'
import { boundTextTokens, TEXT_MARGIN, utf8Bytes } from './text-tokens.ts'

describe('boundTextTokens', () => {
  it.each(Object.entries(TEXTS))('is not below what either tokenizer of OpenAI makes of %s', (_, text) => {
    const bound = boundTextTokens(text)
    expect(bound).toBeGreaterThanOrEqual(cl100k(text).length)
    expect(bound).toBeGreaterThanOrEqual(o200k(text).length * TEXT_MARGIN)
  })

  it('is less than twice the tokens of English prose, which has four times as many bytes', () => {
    for (const name of ['English', 'English prose of a document']) {
      const text = TEXTS[name] ?? ''
      expect(boundTextTokens(text) / o200k(text).length).toBeLessThan(2)
      expect(utf8Bytes(text) / o200k(text).length).toBeGreaterThan(3.9)
    }
  })

  it('is never more than the bytes of a text, and grows with it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (a, b) => {
        expect(boundTextTokens(a + b)).toBeLessThanOrEqual(utf8Bytes(a + b))
        expect(boundTextTokens(a + b)).toBeGreaterThanOrEqual(boundTextTokens(a) - 1)
        if (a.length > 0) expect(boundTextTokens(a)).toBeGreaterThan(0)
      }),
      { numRuns: 2000 },
    )
  })
})
