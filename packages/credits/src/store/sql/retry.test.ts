import { describe, expect, it } from 'vitest'
import { CreditError } from '../../core/errors.ts'
import { withRetry } from './retry.ts'

type Call = Parameters<typeof withRetry>[0]

const READ: Call = { kind: 'read', retryBusy: false }
const WRITE: Call = { kind: 'write', retryBusy: true }
const RESERVE: Call = { kind: 'write', retryBusy: false }

const unknown = { code: 'ECONNRESET' }
const notSent = { code: 'ECONNREFUSED' }
const busy = { code: '55P03' }
const frozen = { code: 'PT403', message: 'ACCOUNT_FROZEN' }
const wrongKey = { code: '42501', status: 403 }

/** Runs a call whose attempts fail one after the other. */
async function outcome(call: Call, faults: readonly unknown[], retries = 2) {
  let attempts = 0
  const answer = withRetry(call, { retries, timeoutMs: 50 }, async () => {
    const fault = faults[attempts]
    attempts += 1
    if (fault === 'stall') await new Promise(() => undefined)
    if (fault !== undefined) throw fault
    return 'done'
  })
  const code = await answer.catch((error: unknown) => (CreditError.isInstance(error) ? error.code : 'not ours'))
  return { code, attempts }
}

describe('withRetry', () => {
  it.each<[string, Call, unknown[], string, number]>([
    ['asks again when the outcome of a write is unknown', WRITE, [unknown], 'done', 2],
    [
      'ends in OUTCOME_UNKNOWN when no attempt of a write found out',
      WRITE,
      [unknown, unknown, unknown],
      'OUTCOME_UNKNOWN',
      3,
    ],
    [
      'ends in OUTCOME_UNKNOWN when one attempt of a write may have happened',
      WRITE,
      [unknown, notSent, notSent],
      'OUTCOME_UNKNOWN',
      3,
    ],
    [
      'ends in OUTCOME_UNKNOWN when a later attempt is only refused by a proxy',
      RESERVE,
      [unknown, wrongKey],
      'OUTCOME_UNKNOWN',
      2,
    ],
    [
      'ends in STORE_UNAVAILABLE when a write was never sent',
      WRITE,
      [notSent, notSent, notSent],
      'STORE_UNAVAILABLE',
      3,
    ],
    [
      'ends in STORE_UNAVAILABLE when a read finds no answer',
      READ,
      [unknown, unknown, unknown],
      'STORE_UNAVAILABLE',
      3,
    ],
    [
      'treats an answer that does not come as an unknown outcome',
      WRITE,
      ['stall', 'stall', 'stall'],
      'OUTCOME_UNKNOWN',
      3,
    ],
    ['never repeats a refusal of our functions', WRITE, [frozen], 'ACCOUNT_FROZEN', 1],
    [
      'takes a refusal of our functions as final after an unknown outcome',
      WRITE,
      [unknown, frozen],
      'ACCOUNT_FROZEN',
      2,
    ],
    ['never repeats a refusal of Postgres', WRITE, [wrongKey], 'CONFIG_INVALID', 1],
    ['repeats a charge that met a busy database', WRITE, [busy, busy], 'done', 3],
    ['ends in STORE_BUSY when the database stays busy', WRITE, [busy, busy, busy], 'STORE_BUSY', 3],
    ['refuses new spending at once when the database is busy', RESERVE, [busy], 'STORE_BUSY', 1],
    ['repeats new spending on a busy database after an unknown outcome', RESERVE, [unknown, busy], 'done', 3],
    ['does not repeat a read on a busy database', READ, [busy], 'STORE_BUSY', 1],
  ])('%s', async (_, call, faults, code, attempts) => {
    expect(await outcome(call, faults)).toEqual({ code, attempts })
  })

  it('makes one attempt when no retries are wanted', async () => {
    expect(await outcome(WRITE, [unknown], 0)).toEqual({ code: 'OUTCOME_UNKNOWN', attempts: 1 })
  })
})
