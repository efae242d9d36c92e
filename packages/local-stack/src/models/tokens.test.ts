import { describe, expect, it } from 'vitest'
import { filler } from './answer.ts'
import { countTokens, tokenize } from './tokens.ts'

describe('development tokens', () => {
  it.each([
    '',
    'Hello, world!',
    '  two  blanks ',
    'Überraschung\n\n- `code` 12345678901',
    '日本語のテキスト',
    '👩‍🚀 emoji',
  ])('put together again give the text %j', (text) => {
    expect(tokenize(text).join('')).toBe(text)
  })

  it('of a text of scripted length are exactly as many as asked for', () => {
    for (const count of [0, 1, 7, 500]) expect(countTokens(filler(count))).toBe(count)
  })
})
