import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { CreditError, type CreditErrorCode, ERROR_CODES, type ErrorContext } from './errors.ts'
import { parseProblem, problemOf, problemResponse } from './problem.ts'

const problem = {
  type: 'https://example.com/errors#insufficient_credits',
  title: 'Not enough credits',
  status: 402,
  detail: 'This needs more',
  code: 'INSUFFICIENT_CREDITS',
  available: '1',
  required: '2',
}

describe('parseProblem', () => {
  test('recognises a problem as a body, as its text, and as the message of the error that useChat gives', () => {
    for (const source of [problem, JSON.stringify(problem), new Error(JSON.stringify(problem))]) {
      const error = parseProblem(source)
      expect(error).toMatchObject({ code: 'INSUFFICIENT_CREDITS', status: 402, message: 'This needs more' })
      expect(error?.details).toEqual({ available: '1', required: '2' })
    }
  })

  test('returns a CreditError unchanged, and undefined for everything that is not a problem of ours', () => {
    const error = new CreditError({ code: 'FORBIDDEN' })
    expect(parseProblem(error)).toBe(error)
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
    for (const stranger of strangers) expect(parseProblem(stranger), JSON.stringify(stranger)).toBeUndefined()
  })

  test('reads back what problemOf wrote, for every code', () => {
    for (const code of Object.keys(ERROR_CODES) as CreditErrorCode[]) {
      expect(parseProblem(JSON.stringify(problemOf(new CreditError({ code }))))?.code).toBe(code)
    }
  })
})

describe('problemOf', () => {
  test('shows the details that the table names as public and no other', () => {
    const error = new CreditError({
      code: 'INVALID_INPUT',
      message: 'amount: must be above zero',
      details: { issues: [{ path: 'amount', message: 'must be above zero' }], sql: 'select 1', userId: 'u' },
      cause: new Error('connect to db.internal'),
    })
    expect(Object.keys(problemOf(error)).sort()).toEqual(['code', 'detail', 'issues', 'status', 'title', 'type'])
    expect(problemOf(new CreditError({ code: 'ACCOUNT_NOT_FOUND', details: { userId: 'u' } }))).not.toHaveProperty(
      'userId',
    )
  })

  test('shows both versions of a version conflict', () => {
    const error = new CreditError({ code: 'VERSION_CONFLICT', details: { expected: 3, actual: 5 } })
    expect(problemOf(error)).toMatchObject({ expected: 3, actual: 5 })
  })

  test('a server fault says its title and not its message, but a missing setting is named', () => {
    const fault = new CreditError({ code: 'STORE_UNAVAILABLE', message: 'connect ECONNREFUSED 10.0.0.7:5432' })
    expect(problemOf(fault).detail).toBe(ERROR_CODES.STORE_UNAVAILABLE.title)
    const missing = new CreditError({ code: 'CONFIG_INVALID', message: 'Missing: URL', details: { missing: ['URL'] } })
    expect(problemOf(missing)).toMatchObject({ detail: 'Missing: URL', missing: ['URL'] })
  })

  test('a zod error is INVALID_INPUT with its issues, whether it was thrown or returned', () => {
    const schema = z.object({ a: z.string() })
    const issues = [{ path: 'a', message: expect.any(String) }]
    expect(problemOf(schema.safeParse({}).error)).toMatchObject({ code: 'INVALID_INPUT', issues })
    try {
      schema.parse({})
    } catch (error) {
      expect(problemOf(error)).toMatchObject({ code: 'INVALID_INPUT', issues })
    }
  })

  test('a refusal of the model provider is PROVIDER_UNAVAILABLE, never the user’s 402', () => {
    const error = Object.assign(new Error('insufficient_funds'), {
      statusCode: 402,
      [Symbol.for('vercel.ai.gateway.error')]: true,
    })
    expect(problemOf(error)).toMatchObject({ status: 503, code: 'PROVIDER_UNAVAILABLE' })
  })

  test('the type leads to errorsUrl, by default the route of the handlers', () => {
    const error = new CreditError({ code: 'FORBIDDEN' })
    expect(problemOf(error).type).toBe('/api/credits/errors#forbidden')
    expect(problemOf(error, { errorsUrl: 'https://docs.example/errors' }).type).toBe(
      'https://docs.example/errors#forbidden',
    )
  })
})

describe('problemResponse', () => {
  test('without onError, faults of the server go to console.error and refusals do not', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    try {
      problemResponse(new CreditError({ code: 'INSUFFICIENT_CREDITS' }))
      expect(log).not.toHaveBeenCalled()
      const fault = new Error('broken')
      const context = { operation: 'GET /api/credits/balance', userId: 'u' }
      problemResponse(fault, { context })
      expect(log).toHaveBeenCalledExactlyOnceWith('credits:', fault, context)
    } finally {
      log.mockRestore()
    }
  })

  test('onError receives every error with its context and replaces the log', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const seen: [unknown, ErrorContext][] = []
    const onError = (error: unknown, context: ErrorContext) => seen.push([error, context])
    const context = { operation: 'chat' }
    try {
      for (const code of ['INSUFFICIENT_CREDITS', 'INTERNAL'] as const) {
        problemResponse(new CreditError({ code }), { onError, context })
      }
      expect(seen).toEqual([
        [expect.objectContaining({ code: 'INSUFFICIENT_CREDITS' }), context],
        [expect.objectContaining({ code: 'INTERNAL' }), context],
      ])
      expect(log).not.toHaveBeenCalled()
    } finally {
      log.mockRestore()
    }
  })
})
