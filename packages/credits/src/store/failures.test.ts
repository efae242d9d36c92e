import { describe, expect, it } from 'vitest'
import { CreditError } from '../core/errors.ts'
import { persistently } from './attempts.ts'
import { failureOf } from './failures.ts'

function verdict(error: unknown): string {
  const failure = failureOf(error)
  return failure.kind === 'refused' ? failure.error.code : failure.kind
}

describe('what a database failure means', () => {
  it.each<[string, string, object]>([
    ['our own refusal', 'INSUFFICIENT_CREDITS', { code: 'PT402', message: 'INSUFFICIENT_CREDITS', details: '{}' }],
    ['our own refusal, over pg', 'ACCOUNT_FROZEN', { code: 'PT403', message: 'ACCOUNT_FROZEN', detail: '{}' }],
    ['a code of ours that this version does not know', 'INTERNAL', { code: 'PT499', message: 'NEW_ONE' }],
    ['a lock that was not had in time', 'STORE_BUSY', { code: '55P03' }],
    ['a deadlock', 'STORE_BUSY', { code: '40P01' }],
    ['a conflict of serialisation', 'STORE_BUSY', { code: '40001' }],
    ['a statement that took too long', 'STORE_BUSY', { code: '57014' }],
    ['no connection left', 'STORE_BUSY', { code: '53300' }],
    ['a full disk', 'STORE_BUSY', { code: '53100' }],
    ['a full pool of PostgREST', 'STORE_BUSY', { code: 'PGRST003', status: 504 }],
    ['a rate limit', 'STORE_BUSY', { message: 'slow down', status: 429 }],
    ['a number out of range', 'INVALID_INPUT', { code: '22003' }],
    ['text that is no number', 'INVALID_INPUT', { code: '22P02' }],
    ['a constraint', 'INVALID_INPUT', { code: '23514' }],
    ['a missing permission', 'CONFIG_INVALID', { code: '42501' }],
    ['a token that is not accepted', 'CONFIG_INVALID', { code: 'PGRST301', status: 401 }],
    ['an API key that is not accepted', 'CONFIG_INVALID', { message: 'Invalid API key', status: 401 }],
    ['a wrong password', 'CONFIG_INVALID', { code: '28P01' }],
    ['a missing function', 'CONFIG_INVALID', { code: 'PGRST202', status: 404 }],
    ['a missing function, over pg', 'CONFIG_INVALID', { code: '42883' }],
    ['something new', 'INTERNAL', { code: 'XX000' }],
    ['a server that starts', 'not-sent', { code: '57P03' }],
    ['a read-only server', 'not-sent', { code: '25006' }],
    ['PostgREST without its database', 'not-sent', { code: 'PGRST002', status: 503 }],
    ['a proxy without a server', 'not-sent', { message: 'unavailable', status: 503 }],
    ['a refused connection', 'not-sent', { code: 'ECONNREFUSED' }],
    [
      'a refused connection, over supabase-js',
      'not-sent',
      { message: 'TypeError: fetch failed', details: 'Caused by: Error: x (ECONNREFUSED)', status: 0, code: '' },
    ],
    ['an unknown host', 'not-sent', { code: 'ENOTFOUND' }],
    ['a server that is shut down', 'lost', { code: '57P01' }],
    ['a reset connection', 'lost', { code: 'ECONNRESET' }],
    ['a bad gateway', 'lost', { message: '<html>', status: 502 }],
    ['a gateway that gave up', 'lost', { message: '<html>', status: 504 }],
    ['a fetch that failed', 'lost', { message: 'TypeError: fetch failed', details: '', status: 0, code: '' }],
    ['anything else', 'lost', new Error('Connection terminated unexpectedly')],
  ])('%s is %s', (_, expected, error) => {
    expect(verdict(error)).toBe(expected)
  })

  it('details of our refusals survive, and a field becomes a path', () => {
    const detail = '{"available":"5","required":"10","balance":"7"}'
    const failure = failureOf({ code: 'PT402', message: 'INSUFFICIENT_CREDITS', detail })
    expect(failure.kind === 'refused' && failure.error.details).toEqual({
      available: '5',
      required: '10',
      balance: '7',
    })
    const bad = failureOf({
      code: 'PT422',
      message: 'INVALID_INPUT',
      details: '{"field":"amount","expected":"a number"}',
    })
    expect(bad.kind === 'refused' && bad.error.details).toEqual({
      issues: [{ path: 'amount', message: 'expected a number' }],
    })
  })

  it('the text of a foreign error stays in the cause: it may quote data', () => {
    const failure = failureOf({ code: '22P02', message: 'invalid input syntax: "secret@example.test"' })
    expect(JSON.stringify(failure.kind === 'refused' && failure.error)).not.toContain('secret')
  })
})

describe('repeating', () => {
  const lost = { code: 'ECONNRESET' }
  const notSent = { code: 'ECONNREFUSED' }

  async function outcome(
    kind: 'read' | 'write',
    faults: unknown[],
    retries = 2,
  ): Promise<{ code: string; attempts: number }> {
    let attempts = 0
    const answer = persistently(kind, { retries, timeoutMs: 50 }, async () => {
      attempts += 1
      const fault = faults.shift()
      if (fault === 'stall') await new Promise(() => undefined)
      if (fault !== undefined) throw fault
      return 'done'
    })
    const code = await answer.catch((error: unknown) => (CreditError.isInstance(error) ? error.code : 'not ours'))
    return { code, attempts }
  }

  it.each<[string, 'read' | 'write', unknown[], string, number]>([
    ['a lost answer is asked for again', 'write', [lost], 'done', 2],
    ['a write whose every answer is lost ends in doubt', 'write', [lost, lost, lost], 'OUTCOME_UNKNOWN', 3],
    ['one lost answer is enough for doubt', 'write', [lost, notSent, notSent], 'OUTCOME_UNKNOWN', 3],
    ['a write that was never sent did not happen', 'write', [notSent, notSent, notSent], 'STORE_UNAVAILABLE', 3],
    ['a read is never in doubt', 'read', [lost, lost, lost], 'STORE_UNAVAILABLE', 3],
    ['a refusal is final', 'write', [{ code: '55P03' }], 'STORE_BUSY', 1],
    ['an answer that does not come is lost', 'write', ['stall', 'stall', 'stall'], 'OUTCOME_UNKNOWN', 3],
  ])('%s', async (_, kind, faults, code, attempts) => {
    expect(await outcome(kind, faults)).toEqual({ code, attempts })
  })
})
