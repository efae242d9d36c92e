import { describe, expect, it } from 'vitest'
import { classifyDatabaseError } from './database-errors.ts'

/** The outcome, and the code of the error where the outcome is no matter of the network. */
function verdict(error: unknown): string {
  const failure = classifyDatabaseError(error)
  const isNetwork = failure.outcome === 'not-sent' || failure.outcome === 'unknown'
  expect(!isNetwork || failure.error.code === 'STORE_UNAVAILABLE').toBe(true)
  return isNetwork ? failure.outcome : `${failure.outcome} ${failure.error.code}`
}

const html = '<!DOCTYPE html><html><body>secret@example.test</body></html>'

describe('classifyDatabaseError', () => {
  it.each<[string, string, object]>([
    [
      'a refusal of our functions over PostgREST',
      'answered INSUFFICIENT_CREDITS',
      { code: 'PT402', message: 'INSUFFICIENT_CREDITS', details: '{}', status: 402 },
    ],
    [
      'a refusal of our functions over pg',
      'answered ACCOUNT_FROZEN',
      { code: 'PT403', message: 'ACCOUNT_FROZEN', detail: '{}' },
    ],
    [
      'a code of our functions that this version does not know',
      'answered INTERNAL',
      { code: 'PT499', message: 'NEW_ONE' },
    ],
    ['a lock timeout', 'busy STORE_BUSY', { code: '55P03' }],
    ['a deadlock', 'busy STORE_BUSY', { code: '40P01' }],
    ['a serialization failure', 'busy STORE_BUSY', { code: '40001' }],
    ['a statement timeout', 'busy STORE_BUSY', { code: '57014' }],
    ['too many connections', 'busy STORE_BUSY', { code: '53300' }],
    ['a full disk', 'busy STORE_BUSY', { code: '53100' }],
    ['an exhausted pool of PostgREST', 'busy STORE_BUSY', { code: 'PGRST003', status: 504 }],
    ['a rate limit of the gateway', 'busy STORE_BUSY', { message: 'slow down', status: 429 }],
    ['a number out of range', 'refused INVALID_INPUT', { code: '22003' }],
    ['text that is no number', 'refused INVALID_INPUT', { code: '22P02' }],
    ['a violated constraint', 'refused INVALID_INPUT', { code: '23514' }],
    ['a missing permission over PostgREST', 'refused CONFIG_INVALID', { code: '42501', status: 403 }],
    ['a missing permission over pg', 'refused CONFIG_INVALID', { code: '42501' }],
    ['a token that PostgREST refuses', 'refused CONFIG_INVALID', { code: 'PGRST301', status: 401 }],
    ['an API key that the gateway refuses', 'refused CONFIG_INVALID', { message: 'Invalid API key', status: 401 }],
    ['a wrong password', 'refused CONFIG_INVALID', { code: '28P01' }],
    ['a database that does not exist', 'refused CONFIG_INVALID', { code: '3D000' }],
    ['a missing function over PostgREST', 'refused CONFIG_INVALID', { code: 'PGRST202', status: 404 }],
    ['a missing function over pg', 'refused CONFIG_INVALID', { code: '42883' }],
    ['any other SQLSTATE', 'refused INTERNAL', { code: 'XX000' }],
    ['a server that starts', 'not-sent', { code: '57P03' }],
    ['a read-only server', 'not-sent', { code: '25006' }],
    ['PostgREST that cannot connect to its database', 'not-sent', { code: 'PGRST000', status: 503 }],
    ['PostgREST without a schema cache', 'not-sent', { code: 'PGRST002', status: 503 }],
    ['a refused connection', 'not-sent', { code: 'ECONNREFUSED' }],
    [
      'a refused connection over supabase-js',
      'not-sent',
      { message: 'TypeError: fetch failed', details: 'Caused by: Error: x (ECONNREFUSED)', status: 0, code: '' },
    ],
    ['an unknown host', 'not-sent', { code: 'ENOTFOUND' }],
    ['a connection that pg could not make in time', 'not-sent', new Error('timeout exceeded when trying to connect')],
    ['a server that is shut down under the statement', 'unknown', { code: '57P01' }],
    ['a statement whose completion is unknown', 'unknown', { code: '40003' }],
    ['PostgREST that lost its connection under the statement', 'unknown', { code: 'PGRST001', status: 503 }],
    [
      'PostgREST 12 that lost its connection at COMMIT',
      'unknown',
      { code: '', message: '', details: null, hint: null, status: 400 },
    ],
    ['a reset connection', 'unknown', { code: 'ECONNRESET' }],
    [
      'a broken pipe, whose code looks like a SQLSTATE',
      'unknown',
      Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }),
    ],
    [
      'a connection that postgres.js lost',
      'unknown',
      { code: 'CONNECTION_CLOSED', message: 'write CONNECTION_CLOSED' },
    ],
    ['a proxy that says 400 without a code', 'unknown', { message: 'Bad Request', status: 400 }],
    ['a proxy that says 502', 'unknown', { message: html, status: 502 }],
    ['a proxy that says 503', 'unknown', { message: 'upstream reset before headers', status: 503 }],
    ['a proxy that says 504', 'unknown', { message: html, status: 504 }],
    ['a fetch that failed', 'unknown', { message: 'TypeError: fetch failed', details: '', status: 0, code: '' }],
    ['a terminated connection', 'unknown', new Error('Connection terminated unexpectedly')],
    ['a thrown string', 'unknown', 'broken' as unknown as object],
  ])('%s is %s', (_, expected, error) => {
    expect(verdict(error)).toBe(expected)
  })

  it('keeps the details of a refusal of our functions', () => {
    const detail = '{"available":"5","required":"10","balance":"7"}'
    const { error } = classifyDatabaseError({ code: 'PT402', message: 'INSUFFICIENT_CREDITS', detail })
    expect(error.details).toEqual({ available: '5', required: '10', balance: '7' })
  })

  it('makes the message of INVALID_INPUT from its first issue', () => {
    const details = '{"issues":[{"path":"amount","message":"expected a positive decimal"}]}'
    const { error } = classifyDatabaseError({ code: 'PT422', message: 'INVALID_INPUT', details })
    expect(error.details).toEqual({ issues: [{ path: 'amount', message: 'expected a positive decimal' }] })
    expect(error.message).toBe('amount: expected a positive decimal')
  })

  it('gives INVALID_INPUT issues also where Postgres refused a value itself', () => {
    const { error } = classifyDatabaseError({ code: '22P02', message: 'invalid input syntax for type uuid' })
    expect(error.code === 'INVALID_INPUT' && error.details.issues).toHaveLength(1)
  })

  it('keeps the text of a foreign error out of message and details, because it may quote data', () => {
    const { error } = classifyDatabaseError({ code: '22P02', message: 'invalid input syntax: "secret@example.test"' })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('keeps a web page out of the error, its cause included', () => {
    for (const status of [200, 404, 502]) {
      const { error } = classifyDatabaseError({ message: html, status })
      expect(`${JSON.stringify(error)} ${String(error.cause)}`).not.toMatch(/secret|html/)
    }
  })

  it('has a message of its own for each mistake in the configuration', () => {
    const mistakes = [
      { code: 'PGRST301', status: 401 },
      { code: '42501' },
      { code: '28P01' },
      { code: '3D000' },
      { code: '42883' },
      { message: html, status: 404 },
      { code: 'ENOTFOUND' },
      { code: 'ECONNREFUSED' },
    ]
    const messages = mistakes.map((mistake) => classifyDatabaseError(mistake).error.message)
    expect(new Set(messages).size).toBe(mistakes.length)
  })
})
