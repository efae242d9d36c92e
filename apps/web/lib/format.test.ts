import { expect, test } from 'vitest'
import { formatChange, formatCredits, formatCreditsShort, formatUsd } from './format.ts'

test('every digit of a decimal string survives, also where a float would lose some', () => {
  expect(formatCredits('9007199254740993.000001')).toBe('9,007,199,254,740,993.000001')
  expect(formatCredits('0.000001')).toBe('0.000001')
  expect(formatCredits('-4')).toBe('-4')
})

test('the short form never shows more than there is', () => {
  expect(formatCreditsShort('49.999999')).toBe('49.99')
  expect(formatCreditsShort('-0.001')).toBe('-0.01')
  expect(formatCreditsShort('50')).toBe('50')
})

test('a change has its sign, nothing has none, and dollars look like dollars', () => {
  expect([formatChange('3.36'), formatChange('-3.36'), formatChange('0')]).toEqual(['+3.36', '-3.36', '0'])
  expect([formatUsd('0'), formatUsd('1234.5')]).toEqual(['$0', '$1,234.5'])
})
