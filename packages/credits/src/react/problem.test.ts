import { expect, test } from 'vitest'
import { CreditError } from '../core/errors.ts'
import { creditErrorFrom } from './problem.ts'

const problem = {
  type: 'https://example.com/errors#insufficient_credits',
  title: 'Not enough credits',
  status: 402,
  detail: 'This needs more',
  code: 'INSUFFICIENT_CREDITS',
  available: '1',
  required: '2',
}

test('a problem is recognised as a body, as its text, and as the message of the error that useChat gives', () => {
  for (const source of [problem, JSON.stringify(problem), new Error(JSON.stringify(problem))]) {
    const error = creditErrorFrom(source)
    expect(error).toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402, message: 'This needs more' })
    expect(error?.details).toEqual({ available: '1', required: '2' })
  }
})

test('a CreditError stays itself, and anything else is not one of ours', () => {
  const error = new CreditError({ code: 'FORBIDDEN' })
  expect(creditErrorFrom(error)).toBe(error)
  const strangers = [
    null,
    undefined,
    5,
    '',
    '{',
    'An error occurred.',
    '{"code":"TEAPOT","detail":"x"}',
    '{"code":"toString","detail":"x"}',
    { code: 'FORBIDDEN' },
    new Error('<html>'),
  ]
  for (const stranger of strangers) expect(creditErrorFrom(stranger), JSON.stringify(stranger)).toBeNull()
})
