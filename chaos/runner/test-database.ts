import type { ClonedDatabase, Stack } from '@layers/local-stack'
import pg from 'pg'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import { findViolations, type SeenTransactions } from '../checkers/invariants.ts'
import type { Random } from '../workload/random.ts'
import { type BrokenCopy, breakCopy } from './broken-copy.ts'
import type { Violation } from './scenario.ts'

/** How to open a database. */
export interface TestDatabaseOptions {
  /** With PostgREST and an auth server of its own. */
  api?: boolean
  /** On another server than the one that all scenarios share. */
  stack?: Stack
}

/** One database under test, with the migrations applied. */
export interface TestDatabase {
  readonly clone: ClonedDatabase
  /** Connections of the superuser: for setting up and for checking, never for what is under test. */
  readonly admin: pg.Pool
  /** Two more of its connections, which are free even while others use all of the pool. */
  readonly watcher: pg.Pool
  /** Connections as service_role; `settings` are run-time settings by name. */
  pool(size: number, settings?: Record<string, string>): pg.Pool
  /** The adapter of the library over a pool. */
  storeOver(pool: pg.Pool): CreditStore
  /** The adapter of the library over a pool of its own. */
  store(size?: number, settings?: Record<string, string>): CreditStore
  /** A new auth user with exactly these credits: the signup grant is turned off. */
  user(credits: string, random?: Random): Promise<string>
  /** Many of them, in one statement. */
  users(count: number, credits: string, random?: Random): Promise<string[]>
  /** Checks the invariants now, also against the ledger as it was the last time. */
  findViolations(options?: { quiet?: boolean }): Promise<Violation[]>
  close(): Promise<void>
}

/** Opens a fresh copy of the schema, broken as asked. */
export async function openTestDatabase(
  clone: ClonedDatabase,
  { random, brokenCopies }: { random: Random; brokenCopies: readonly BrokenCopy[] },
): Promise<TestDatabase> {
  const admin = makePool(clone.adminDbUrl, 50, {})
  const watcher = makePool(clone.adminDbUrl, 2, {})
  const pools: pg.Pool[] = [admin, watcher]
  const close = async (): Promise<void> => {
    await Promise.all(pools.map((each) => each.end()))
    await clone.drop()
  }
  try {
    for (const copy of brokenCopies) await breakCopy(admin, copy)
  } catch (error) {
    await close()
    throw error
  }
  const seen: SeenTransactions = new Map()
  const pool = (size: number, settings: Record<string, string> = {}): pg.Pool => {
    const made = makePool(clone.dbUrl, size, { role: 'service_role', ...settings })
    pools.push(made)
    return made
  }
  const storeOver = (over: pg.Pool): CreditStore => postgresStore(over, { prepare: true, timeoutMs: 20_000 })
  return {
    clone,
    admin,
    watcher,
    pool,
    storeOver,
    store: (size = 8, settings = {}) => storeOver(pool(size, settings)),
    user: async (credits, from = random) => {
      const [id = ''] = await signUpAll(admin, from, 1, credits)
      return id
    },
    users: (count, credits, from = random) => signUpAll(admin, from, count, credits),
    findViolations: (options) => findViolations(clone.adminDbUrl, { seen, ...options }),
    close,
  }
}

/** Users without a signup grant, who bought these credits instead; all in one round trip. */
async function signUpAll(admin: pg.Pool, random: Random, count: number, credits: string): Promise<string[]> {
  const made = Array.from({ length: count }, () => ({ id: random.uuid(), transactionId: random.uuid() }))
  const list = made.map(({ id, transactionId }) => `('${id}'::uuid, '${transactionId}'::uuid)`).join(', ')
  const grants = `select public.credits_grant(u, t, ${credits}, 'purchase', 'add-on') from (values ${list}) made (u, t)`
  await admin.query(
    `update public.credit_settings set signup_credits = 0 where signup_credits <> 0;
     insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
     select u, 'authenticated', 'authenticated', u || '@example.com', now(), now(), now()
       from (values ${list}) made (u, t);
     ${credits === '0' ? '' : grants}`,
  )
  return made.map(({ id }) => id)
}

/** What the auth server does when a user signs up. */
export async function signUp(
  admin: pg.Pool,
  id: string,
  { email = `${id}@example.com`, anonymous = false }: { email?: string; anonymous?: boolean } = {},
): Promise<string> {
  await admin.query(
    `insert into auth.users (id, aud, role, email, email_confirmed_at, is_anonymous, created_at, updated_at)
     values ($1, 'authenticated', 'authenticated', $2, $3, $4, now(), now())`,
    [id, anonymous ? null : email, anonymous ? null : new Date(), anonymous],
  )
  return id
}

function makePool(connectionString: string, max: number, settings: Record<string, string>): pg.Pool {
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  const made = new pg.Pool({ connectionString, max, options: options.join(' '), connectionTimeoutMillis: 30_000 })
  // Scenarios cut idle connections on purpose.
  made.on('error', () => undefined)
  return made
}
