import { CreditError } from '@layers/credits/react'
import { expect, test } from 'vitest'
import { canRetry, textOf } from './error-text.ts'

test('the text of a refused input names no field', () => {
  const issues = [{ path: 'email', message: 'Enter a valid e-mail address' }]
  const error = new CreditError({ code: 'INVALID_INPUT', message: 'email: Enter …', details: { issues } })
  expect(textOf(error)).toBe('Enter a valid e-mail address')
})

test('the text of a fault of the server names none of its parts', () => {
  for (const code of ['STORE_UNAVAILABLE', 'STORE_BUSY', 'OUTCOME_UNKNOWN', 'INTERNAL'] as const) {
    expect(textOf(new CreditError({ code }))).not.toMatch(/store|database|outcome/i)
  }
  expect(textOf(new Error('connect ECONNREFUSED'))).not.toContain('ECONNREFUSED')
})

test('a frozen account is told whom to write to and is not asked to try again', () => {
  const error = new CreditError({ code: 'ACCOUNT_FROZEN' })
  expect([textOf(error), canRetry(error)]).toEqual([expect.stringContaining('operator'), false])
  expect(canRetry(new CreditError({ code: 'INTERNAL' }))).toBe(true)
})
