import { AISDKError } from 'ai'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { CreditError, type CreditErrorCode, ERROR_CODES, invalidInput, invalidIssues } from './errors.ts'

describe('the table of error codes', () => {
  test('the SQLSTATE of every code that SQL raises is PT and its HTTP status', () => {
    for (const [code, { status, sqlState }] of Object.entries(ERROR_CODES)) {
      if (sqlState !== null) expect(sqlState, code).toBe(`PT${status}`)
    }
  })

  test('every retryable code has a status that tells clients to come back: 429 or 503', () => {
    for (const [code, { status, retryable }] of Object.entries(ERROR_CODES)) {
      expect(retryable, code).toBe(status === 429 || status === 503)
    }
  })
})

describe('CreditError', () => {
  test('a CreditError is recognised by its own marker, by instanceof and by the AI SDK', () => {
    const error = new CreditError({ code: 'FORBIDDEN' })
    expect([CreditError.isInstance(error), error instanceof CreditError, error instanceof Error]).toEqual([
      true,
      true,
      true,
    ])
    expect(AISDKError.isInstance(error)).toBe(true)
    for (const other of [new Error('x'), null, undefined, 'FORBIDDEN', { code: 'FORBIDDEN' }]) {
      expect(CreditError.isInstance(other)).toBe(false)
    }
  })

  test('status and retryable come from the table, and the cause stays out of the JSON', () => {
    const error = new CreditError({ code: 'STORE_BUSY', cause: new Error('secret') })
    expect(error.toJSON()).toEqual({
      code: 'STORE_BUSY',
      status: 503,
      retryable: true,
      message: ERROR_CODES.STORE_BUSY.title,
      details: {},
    })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  test('comparing the code types the details', () => {
    const error: unknown = new CreditError({
      code: 'INSUFFICIENT_CREDITS',
      details: { available: '1', required: '2', upgradeUrl: '/buy' },
    })
    if (!CreditError.isInstance(error)) throw new Error('not a CreditError')
    if (error.code === 'INSUFFICIENT_CREDITS') {
      expectTypeOf(error.details.upgradeUrl).toEqualTypeOf<string | undefined>()
      expect(error.details.upgradeUrl).toBe('/buy')
    }
    if (error.code === 'VERSION_CONFLICT') expectTypeOf(error.details.actual).toEqualTypeOf<number | undefined>()
    // @ts-expect-error credits are decimal strings
    new CreditError({ code: 'INSUFFICIENT_CREDITS', details: { available: 1 } })
  })

  test('an unknown model is named in the message, with the command that adds a price', () => {
    const { message } = new CreditError({ code: 'UNKNOWN_MODEL', details: { model: 'acme/x' } })
    expect(message).toContain('acme/x')
    expect(message).toContain('credits rates set')
  })

  test('a version conflict names both versions in its message', () => {
    expect(new CreditError({ code: 'VERSION_CONFLICT', details: { expected: 3, actual: 5 } }).message).toMatch(/5.*3/)
  })

  test('a message of one’s own replaces the default one', () => {
    expect(new CreditError({ code: 'UNKNOWN_MODEL', message: 'no', details: { model: 'acme/x' } }).message).toBe('no')
  })
})

describe('INVALID_INPUT', () => {
  test('the details have one shape, however the error was made', () => {
    const made: [CreditError<'INVALID_INPUT'>, unknown][] = [
      [invalidInput('amount', 'must be above zero'), [{ path: 'amount', message: 'must be above zero' }]],
      [
        invalidIssues([{ path: ['messages', 0, 'role'], message: 'bad' }]),
        [{ path: 'messages.0.role', message: 'bad' }],
      ],
      [new CreditError({ code: 'INVALID_INPUT', message: 'no body' }), [{ path: '', message: 'no body' }]],
    ]
    for (const [error, issues] of made) expect(error.details).toEqual({ issues })
    expect(invalidInput('amount', 'must be above zero').message).toBe('amount: must be above zero')
    expect(invalidInput('', 'not JSON').message).toBe('input: not JSON')
  })

  test('at most 20 issues are named', () => {
    const issues = Array.from({ length: 50 }, (_, index) => ({ path: [index], message: 'bad' }))
    expect(invalidIssues(issues).details.issues).toHaveLength(20)
  })
})

test('every code can be made without details', () => {
  for (const code of Object.keys(ERROR_CODES) as CreditErrorCode[]) expect(new CreditError({ code }).code).toBe(code)
})
