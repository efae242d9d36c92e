import { type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { chargeOf } from '../../src/testing/case.ts'
import { openPool, signUp } from '../kit/database.ts'
import { assertInvariants } from '../kit/invariants.ts'
import { serviceClient } from '../kit/stack.ts'

/**
 * PostgREST before 16 repeats a transaction that ends in 40001 until it does not. Our functions never raise it by
 * themselves; a stricter isolation than READ COMMITTED makes Postgres raise it, which a repetition cures.
 */
let stack: Stack
let admin: pg.Pool

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
})
afterAll(async () => {
  await admin?.end()
  await stack?.stop()
})

const LEVELS = ['serializable', 'repeatable read'] as const

/** Repeats a call under the same id after STORE_BUSY: the only refusal that a conflict may end in, with nothing done. */
async function unlessBusy<Result>(run: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      expect(error).toMatchObject({ code: 'STORE_BUSY' })
    }
  }
}

/** Reserves and settles twelve times at once on one account: every call gets an answer. */
async function spendAtOnce(level: string) {
  const store = supabaseStore(serviceClient(stack))
  const userId = await signUp(admin)
  const ids = Array.from({ length: 12 }, () => crypto.randomUUID())
  const reserve = (reservationId: string) =>
    unlessBusy(() => store.reserve({ reservationId, userId, amount: '2', ttlSeconds: 60 }))
  await Promise.all(ids.map(reserve))
  // Each twice, so that repeats of one call meet as well.
  const settle = (reservationId: string) =>
    unlessBusy(() => store.settle({ userId, reservationId, charge: chargeOf('1.5') }))
  const settled = await Promise.all([...ids, ...ids].map(settle))
  expect(
    settled.filter((one) => !one.replayed),
    level,
  ).toHaveLength(12)
  expect(await store.getBalance({ userId }), level).toMatchObject({ available: '32', reserved: '0', version: 13 })
}

it.each(LEVELS)(
  'with %s as the default of the database, every call through PostgREST gets an answer',
  async (level) => {
    await admin.query(`alter database postgres set default_transaction_isolation = '${level}'`)
    try {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name ilike '%postgrest%'`,
      )
      await untilPostgrestAnswers()
      await spendAtOnce(level)
    } finally {
      await admin.query('alter database postgres reset default_transaction_isolation')
    }
    await untilInvariantsHold()
  },
)

it.each(LEVELS)(
  'with %s as the default of the role, which PostgREST follows, every call gets an answer',
  async (level) => {
    await admin.query(`alter role service_role set default_transaction_isolation = '${level}'`)
    try {
      await admin.query(`notify pgrst, 'reload config'`)
      await expect.poll(async () => levelOfCalls(), { timeout: 10_000 }).toBe(level)
      await spendAtOnce(level)
    } finally {
      await admin.query('alter role service_role reset default_transaction_isolation')
      await admin.query(`notify pgrst, 'reload config'`)
    }
    await untilInvariantsHold()
  },
)

/** PostgREST lost its connections and makes new ones, several times when the machine is busy. */
async function untilPostgrestAnswers() {
  const answers = async () => (await serviceClient(stack).rpc('credits_schema_version')).status
  let inARow = 0
  await expect.poll(async () => (inARow = (await answers()) === 200 ? inARow + 1 : 0), { timeout: 20_000 }).toBe(10)
}

/** PostgREST may still read the schema, in a transaction of its own. */
const untilInvariantsHold = () => vi.waitFor(() => assertInvariants(admin), { timeout: 10_000 })

async function levelOfCalls(): Promise<unknown> {
  await admin.query(
    `create or replace function public.isolation_now() returns text language sql as $$ select current_setting('transaction_isolation') $$;
     notify pgrst, 'reload schema'`,
  )
  return (await serviceClient(stack).rpc('isolation_now')).data
}

it.each(LEVELS)(
  'on a connection of %s a conflict is STORE_BUSY, nothing happens and a repeat succeeds',
  async (level) => {
    const pool = new pg.Pool({
      connectionString: stack.dbUrl,
      max: 12,
      options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`,
    })
    pool.on('error', () => undefined)
    try {
      const store = postgresStore(pool)
      const userId = await signUp(admin)
      const reserve = (reservationId: string) =>
        unlessBusy(() => store.reserve({ reservationId, userId, amount: '2', ttlSeconds: 60 }))
      await Promise.all(Array.from({ length: 12 }, () => reserve(crypto.randomUUID())))
      expect(await postgresStore(admin).getBalance({ userId })).toMatchObject({ reserved: '24', available: '26' })
    } finally {
      await pool.end()
    }
    await assertInvariants(admin)
  },
)
