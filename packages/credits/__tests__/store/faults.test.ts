import { type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { type FaultProxy, faultProxy } from './fault-proxy.ts'
import { openPool, serviceClient, signUp } from './sql-harness.ts'

const PATIENCE = { timeoutMs: 4_000, retries: 2 }

interface Door {
  store: CreditStore
  proxy: FaultProxy
}

let stack: Stack
let admin: pg.Pool
const doors = new Map<string, Door>()
const pools: pg.Pool[] = []

function poolAt(url: string): pg.Pool {
  const pool = openPool(url, 5)
  pools.push(pool)
  return pool
}

function through(url: string, port: number): string {
  const changed = new URL(url)
  changed.hostname = '127.0.0.1'
  changed.port = String(port)
  return changed.href
}

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = poolAt(stack.adminDbUrl)
  const http = await faultProxy(Number(new URL(stack.url).port))
  const url = `http://127.0.0.1:${http.port}`
  doors.set('supabase', { proxy: http, store: supabaseStore(serviceClient({ ...stack, url }), PATIENCE) })
  const tcp = await faultProxy(Number(new URL(stack.dbUrl).port))
  const pool = poolAt(through(stack.dbUrl, tcp.port))
  doors.set('postgres', { proxy: tcp, store: postgresStore(pool, PATIENCE) })
})
afterEach(() => {
  for (const { proxy } of doors.values()) proxy.fault = 'none'
})
afterAll(async () => {
  for (const { proxy } of doors.values()) await proxy.close()
  for (const pool of pools) await pool.end()
  await stack?.stop()
})

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => (CreditError.isInstance(error) ? error.code : String(error)),
  )
}

/** What the ledger says, over a connection that the store does not know. */
async function held(userId: string): Promise<{ reserved: string; open: number }> {
  const { rows } = await admin.query(
    'select trim_scale(reserved)::text as reserved, open_reservations as open from public.credit_balances where account_id = $1',
    [userId],
  )
  return rows[0]
}

describe.each(['supabase', 'postgres'])('%s store behind a bad network', (name) => {
  const door = (): Door => doors.get(name) as Door
  const request = (userId: string) => ({ reservationId: crypto.randomUUID(), userId, amount: '10', ttlSeconds: 300 })

  it('an answer that was lost is asked for again, and there is one reservation', async () => {
    const { store, proxy } = door()
    const input = request(await signUp(admin))
    await store.getBalance({ userId: input.userId })
    proxy.fault = 'cut-answer'
    const before = proxy.lost
    const answer = store.reserve(input)
    while (proxy.lost === before) await new Promise((resolve) => setTimeout(resolve, 1))
    proxy.fault = 'none'
    expect(await answer).toMatchObject({ state: 'active', amount: '10' })
    expect(await held(input.userId)).toEqual({ reserved: '10', open: 1 })
  })

  it('when every answer is lost the outcome is unknown, and repeating with the same id tells it', async () => {
    const { store, proxy } = door()
    const input = request(await signUp(admin))
    await store.getBalance({ userId: input.userId })
    proxy.fault = 'cut-answer'
    expect(await codeOf(store.reserve(input))).toBe('OUTCOME_UNKNOWN')
    expect(await codeOf(store.getBalance({ userId: input.userId }))).toBe('STORE_UNAVAILABLE')
    proxy.fault = 'none'
    await store.reserve(input)
    expect(await held(input.userId)).toEqual({ reserved: '10', open: 1 })
  })

  it('an answer that never comes ends the wait', async () => {
    const { proxy } = door()
    const userId = await signUp(admin)
    const hasty = { timeoutMs: 200, retries: 1 }
    const pool = name === 'postgres' ? poolAt(through(stack.dbUrl, proxy.port)) : undefined
    const store = pool
      ? postgresStore(pool, hasty)
      : supabaseStore(serviceClient({ ...stack, url: `http://127.0.0.1:${proxy.port}` }), hasty)
    await store.getBalance({ userId })
    proxy.fault = 'stall'
    const started = performance.now()
    expect(await codeOf(store.reserve(request(userId)))).toBe('OUTCOME_UNKNOWN')
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('a locked account is busy, and nothing happens', async () => {
    const { store } = door()
    const input = request(await signUp(admin))
    const lock = await admin.connect()
    try {
      await lock.query('begin')
      await lock.query('select from public.credit_balances where account_id = $1 for update', [input.userId])
      expect(await codeOf(store.reserve(input))).toBe('STORE_BUSY')
    } finally {
      await lock.query('rollback')
      lock.release()
    }
    expect(await held(input.userId)).toEqual({ reserved: '0', open: 0 })
  })
})

describe('a store that is set up wrongly', () => {
  const somebody = { userId: '00000000-0000-4000-8000-000000000000' }

  it('a publishable key is told apart from an outage', async () => {
    const client = serviceClient({ url: stack.url, secretKey: stack.publishableKey })
    expect(await codeOf(supabaseStore(client).getBalance(somebody))).toBe('CONFIG_INVALID')
  })

  it('a key that nobody issued too', async () => {
    const client = serviceClient({ url: stack.url, secretKey: 'sb_secret_nobody' })
    expect(await codeOf(supabaseStore(client).getBalance(somebody))).toBe('CONFIG_INVALID')
  })

  it('a database without the migrations is told as such', async () => {
    await admin.query('create database without_credits')
    const url = new URL(stack.adminDbUrl)
    url.pathname = '/without_credits'
    expect(await codeOf(postgresStore(poolAt(url.href)).getBalance(somebody))).toBe('CONFIG_INVALID')
  })

  it('where nobody listens, nothing was sent', async () => {
    const gone = await faultProxy(1)
    await gone.close()
    const nobody = { url: `http://127.0.0.1:${gone.port}`, secretKey: stack.secretKey }
    const input = { ...somebody, reservationId: crypto.randomUUID(), amount: '1', ttlSeconds: 60 }
    expect(await codeOf(supabaseStore(serviceClient(nobody), { retries: 1 }).reserve(input))).toBe('STORE_UNAVAILABLE')
    const pool = poolAt(`postgres://postgres@127.0.0.1:${gone.port}/postgres`)
    expect(await codeOf(postgresStore(pool, { retries: 1 }).reserve(input))).toBe('STORE_UNAVAILABLE')
  })
})
