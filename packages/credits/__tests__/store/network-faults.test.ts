import { join } from 'node:path'
import { type Postgrest, type Stack, startPostgrest, startStack } from '@layers/local-stack'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import { createCredits } from '../../src/credits.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { chargeOf } from '../../src/testing/case.ts'
import { openPool, signUp } from '../kit/database.ts'
import { restClient, serviceClient } from '../kit/stack.ts'
import { type Fault, type FaultProxy, faultProxy } from './fault-proxy.ts'

const RETRY = { timeoutMs: 4_000, retries: 2 }
/** PostgREST needs up to some seconds to connect to its database again. */
const PATIENT = { timeoutMs: 4_000, retries: 6 }

/** A way from the store to the database with a proxy that cuts one of its hops. */
interface Route {
  store: CreditStore
  proxy: FaultProxy
}

const ROUTES = ['app to PostgREST', 'app to Postgres', 'PostgREST to Postgres'] as const
type RouteName = (typeof ROUTES)[number]

let stack: Stack
let admin: pg.Pool
let postgrest: Postgrest
const routes = new Map<RouteName, Route>()
const pools: pg.Pool[] = []

function poolAt(url: string): pg.Pool {
  const pool = openPool(url, { max: 5 })
  pools.push(pool)
  return pool
}

function throughProxy(url: string, { port }: FaultProxy): string {
  return Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href
}

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = poolAt(stack.adminDbUrl)
  const http = await faultProxy(Number(new URL(stack.url).port))
  const client = serviceClient({ ...stack, url: throughProxy(stack.url, http) })
  routes.set('app to PostgREST', { proxy: http, store: supabaseStore(client, RETRY) })

  const dbPort = Number(new URL(stack.dbUrl).port)
  const direct = await faultProxy(dbPort)
  const pool = poolAt(throughProxy(stack.dbUrl, direct))
  routes.set('app to Postgres', { proxy: direct, store: postgresStore(pool, RETRY) })

  const behind = await faultProxy(dbPort)
  const logFile = join(stack.layout.root, 'postgrest-behind-proxy.log')
  postgrest = await startPostgrest({ dbPort: behind.port, database: 'postgres', poolSize: 5, logFile })
  routes.set('PostgREST to Postgres', { proxy: behind, store: supabaseStore(restClient(stack, postgrest), PATIENT) })
})
afterEach(() => {
  for (const { proxy } of routes.values()) proxy.fault = 'none'
})
afterAll(async () => {
  await postgrest?.stop()
  for (const { proxy } of routes.values()) await proxy.close()
  for (const pool of pools) await pool.end()
  await stack?.stop()
})

function routeOf(name: RouteName): Route {
  const route = routes.get(name)
  if (route === undefined) throw new Error(`no route ${name}`)
  return route
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => (CreditError.isInstance(error) ? error.code : String(error)),
  )
}

/** Runs a call whose first attempt meets a fault. */
async function withFirstAttempt<Result>(proxy: FaultProxy, fault: Fault, call: () => Promise<Result>): Promise<Result> {
  const before = proxy.lost
  proxy.fault = fault
  const answer = call()
  // A rejection is looked at below.
  answer.catch(() => undefined)
  while (proxy.lost === before) await new Promise((resolve) => setTimeout(resolve, 1))
  proxy.fault = 'none'
  return answer
}

/** What the ledger says, over a connection that the store does not know. */
async function accountOf(userId: string): Promise<{ reserved: string; open: number; version: number }> {
  const { rows } = await admin.query(
    `select trim_scale(reserved)::text as reserved, open_reservations as open, version::integer as version
     from public.credit_balances where account_id = $1`,
    [userId],
  )
  return rows[0]
}

/** Waits until the route works: PostgREST connects to its database again after a while. */
async function recovered({ store }: Route, userId: string): Promise<void> {
  const deadline = performance.now() + 20_000
  while ((await codeOf(store.getBalance({ userId }))) !== 'done' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** A reserve of a new user, once the route works. */
async function newReserve(route: Route) {
  const userId = await signUp(admin)
  await recovered(route, userId)
  return { userId, reservationId: crypto.randomUUID(), amount: '10', ttlSeconds: 300 }
}

describe.each(ROUTES)('the hop from %s', (name) => {
  it('a lost answer is asked for again with the same id, and there is one reservation', async () => {
    const { store, proxy } = routeOf(name)
    const input = await newReserve(routeOf(name))
    await store.getBalance(input)
    const reserved = await withFirstAttempt(proxy, 'cut-answer', () => store.reserve(input))
    expect(reserved).toMatchObject({ state: 'active', amount: '10' })
    expect(await accountOf(input.userId)).toEqual({ reserved: '10', open: 1, version: 1 })
  })

  it('a charge whose answer is lost is charged once', async () => {
    const { store, proxy } = routeOf(name)
    const input = await newReserve(routeOf(name))
    await store.reserve(input)
    const settle = () => store.settle({ ...input, charge: chargeOf('7') })
    expect(await withFirstAttempt(proxy, 'cut-answer', settle)).toMatchObject({ state: 'settled', captured: '7' })
    expect(await accountOf(input.userId)).toEqual({ reserved: '0', open: 0, version: 2 })
  })

  it('is OUTCOME_UNKNOWN for a write and STORE_UNAVAILABLE for a read while every answer is lost', async () => {
    const { store, proxy } = routeOf(name)
    const input = await newReserve(routeOf(name))
    await store.getBalance(input)
    proxy.fault = 'cut-answer'
    // PostgREST may notice the dead connection before it takes the request; then nothing has happened.
    const codes = name === 'PostgREST to Postgres' ? ['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE'] : ['OUTCOME_UNKNOWN']
    expect(codes).toContain(await codeOf(store.reserve(input)))
    expect(await codeOf(store.getBalance(input))).toBe('STORE_UNAVAILABLE')
    proxy.fault = 'none'
    await recovered(routeOf(name), input.userId)
    await store.reserve(input)
    expect(await accountOf(input.userId)).toMatchObject({ reserved: '10', open: 1 })
  })
})

describe.each(['app to PostgREST', 'app to Postgres'] as const)('the hop from %s', (name) => {
  it('ends the wait for an answer that never comes', async () => {
    const { proxy } = routeOf(name)
    const input = await newReserve(routeOf(name))
    const impatient = { timeoutMs: 200, retries: 1 }
    const store =
      name === 'app to Postgres'
        ? postgresStore(poolAt(throughProxy(stack.dbUrl, proxy)), impatient)
        : supabaseStore(serviceClient({ ...stack, url: throughProxy(stack.url, proxy) }), impatient)
    await store.getBalance(input)
    proxy.fault = 'stall'
    const started = performance.now()
    expect(await codeOf(store.reserve(input))).toBe('OUTCOME_UNKNOWN')
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('answers STORE_BUSY for a locked account, and nothing happens', async () => {
    const { store } = routeOf(name)
    const input = await newReserve(routeOf(name))
    const lock = await admin.connect()
    try {
      await lock.query('begin')
      await lock.query('select from public.credit_balances where account_id = $1 for update', [input.userId])
      expect(await codeOf(store.reserve(input))).toBe('STORE_BUSY')
    } finally {
      await lock.query('rollback')
      lock.release()
    }
    expect(await accountOf(input.userId)).toMatchObject({ reserved: '0', open: 0 })
  })

  it('charges a locked account when the lock is gone in time', async () => {
    const { store } = routeOf(name)
    const input = await newReserve(routeOf(name))
    await store.reserve(input)
    const lock = await admin.connect()
    await lock.query('begin')
    await lock.query('select from public.credit_balances where account_id = $1 for update', [input.userId])
    const settled = store.settle({ ...input, charge: chargeOf('4') })
    // Longer than the function waits for the lock.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await lock.query('rollback')
    lock.release()
    expect(await settled).toMatchObject({ captured: '4' })
  })
})

describe('a reserve whose answer is lost for longer than its life', () => {
  it('is made again by the use case, and the user is not refused', async () => {
    const { proxy } = routeOf('app to Postgres')
    const pool = poolAt(throughProxy(stack.dbUrl, proxy))
    const credits = createCredits({ store: postgresStore(pool, { timeoutMs: 1_200, retries: 2 }) })
    const userId = await signUp(admin)
    await credits.getBalance({ userId })
    const reserve = () => credits.reserve({ userId, amount: '10', ttlSeconds: 1 })
    const reserved = await withFirstAttempt(proxy, 'stall', reserve)
    expect(reserved).toMatchObject({ state: 'active', amount: '10', replayed: false })
    const { rows } = await admin.query(
      'select state from public.credit_reservations where account_id = $1 order by created_at',
      [userId],
    )
    expect(rows.map(({ state }) => state)).toEqual(['expired', 'active'])
  })
})

describe('a connection of PostgREST that dies at COMMIT', () => {
  const behindProxy = (): Route => routeOf('PostgREST to Postgres')

  /** The raw answer of PostgREST to a reserve whose COMMIT meets a fault. */
  async function rawAnswer(fault: Fault) {
    const { proxy } = behindProxy()
    const { userId, reservationId } = await newReserve(behindProxy())
    const args = { p_account_id: userId, p_reservation_id: reservationId, p_amount: '10', p_ttl_seconds: 300 }
    proxy.fault = fault
    const { error, status } = await restClient(stack, postgrest).rpc('credits_reserve' as never, args as never)
    proxy.fault = 'none'
    await recovered(behindProxy(), userId)
    return { answer: { status, code: error?.code }, account: await accountOf(userId) }
  }

  it('is answered with status 400 and no code, whether or not the transaction was stored', async () => {
    const noCode = { status: 400, code: '' }
    expect(await rawAnswer('cut-commit')).toMatchObject({ answer: noCode, account: { reserved: '10' } })
    expect(await rawAnswer('lose-commit')).toMatchObject({ answer: noCode, account: { reserved: '0' } })
  })

  it.each(['cut-commit', 'lose-commit'] as const)('is asked again with the same id after %s', async (fault) => {
    const { store, proxy } = behindProxy()
    const input = await newReserve(behindProxy())
    const reserved = await withFirstAttempt(proxy, fault, () => store.reserve(input))
    expect(reserved).toMatchObject({ state: 'active', amount: '10', replayed: fault === 'cut-commit' })
    const settle = () => store.settle({ ...input, charge: chargeOf('7') })
    const settled = await withFirstAttempt(proxy, fault, settle)
    expect(settled).toMatchObject({ state: 'settled', captured: '7', replayed: fault === 'cut-commit' })
    expect(await accountOf(input.userId)).toEqual({ reserved: '0', open: 0, version: 2 })
  })

  it('is OUTCOME_UNKNOWN when it happens to every attempt, never a refusal', async () => {
    const { store, proxy } = behindProxy()
    const input = await newReserve(behindProxy())
    await store.reserve(input)
    proxy.fault = 'cut-commit'
    expect(await codeOf(store.settle({ ...input, charge: chargeOf('7') }))).toBe('OUTCOME_UNKNOWN')
    proxy.fault = 'none'
    await recovered(behindProxy(), input.userId)
    expect(await store.settle({ ...input, charge: chargeOf('7') })).toMatchObject({ replayed: true, captured: '7' })
  })

  it('leaves a usage charged exactly once when it is settled through the use cases', async () => {
    const { store, proxy } = behindProxy()
    const credits = createCredits({ store })
    const userId = await signUp(admin)
    const { reservationId } = await credits.reserve({ userId, amount: '10' })
    const settle = () => credits.settle({ userId, reservationId, amount: '3.36' })
    expect((await withFirstAttempt(proxy, 'lose-commit', settle)).captured).toBe('3.36')
    expect((await credits.getBalance({ userId })).available).toBe('46.64')
  })
})
