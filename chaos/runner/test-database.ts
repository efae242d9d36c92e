import type { ClonedDatabase, Stack } from '@layers/local-stack'
import pg from 'pg'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import { assertInvariants, type Memory } from '../checkers/invariants.ts'
import type { Random } from '../workload/random.ts'
import type { Sabotage, Violation } from './scenario.ts'

/** How to open a database. */
export interface FieldOptions {
  /** With PostgREST and an auth server of its own. */
  api?: boolean
  /** On another server than the one that all attacks share. */
  stack?: Stack
}

/** One database under attack. */
export interface Field {
  readonly database: ClonedDatabase
  /** The superuser's connections: for setting up and for looking, never for what is under test. */
  readonly admin: pg.Pool
  /** One more of its connections, which is always free: for looking while others hold all of the pool. */
  readonly watcher: pg.Pool
  /** Connections as service_role; `settings` are run-time settings by name. */
  pool(size: number, settings?: Record<string, string>): pg.Pool
  /** The library's adapter over a pool. */
  storeOver(pool: pg.Pool): CreditStore
  /** The library's adapter over a pool of its own. */
  store(size?: number, settings?: Record<string, string>): CreditStore
  /** A new auth user with exactly these credits: the signup grant is turned off for it. */
  user(credits: string, random?: Random): Promise<string>
  /** Many of them, in one statement. */
  users(count: number, credits: string, random?: Random): Promise<string[]>
  /** Checks I1 to I12 now; `remember` also compares with the ledger as it was the last time. */
  invariants(options?: { quiet?: boolean }): Promise<Violation[]>
  close(): Promise<void>
}

/** Opens a field over a fresh copy of the schema. */
export async function openField(
  database: ClonedDatabase,
  { random, sabotage }: { random: Random; sabotage: readonly Sabotage[] },
): Promise<Field> {
  const admin = makePool(database.adminDbUrl, 50, {})
  const watcher = makePool(database.adminDbUrl, 2, {})
  const pools: pg.Pool[] = [admin, watcher]
  for (const fault of sabotage) await commit(admin, fault)
  const memory: Memory = new Map()
  const pool = (size: number, settings: Record<string, string> = {}): pg.Pool => {
    const made = makePool(database.dbUrl, size, { role: 'service_role', ...settings })
    pools.push(made)
    return made
  }
  const storeOver = (over: pg.Pool): CreditStore => postgresStore(over, { prepare: true, timeoutMs: 20_000 })
  const store = (size = 8, settings: Record<string, string> = {}): CreditStore => storeOver(pool(size, settings))
  return {
    database,
    admin,
    watcher,
    pool,
    storeOver,
    store,
    user: async (credits, from = random) => {
      const [id = ''] = await signUpAll(admin, from, 1, credits)
      return id
    },
    users: (count, credits, from = random) => signUpAll(admin, from, count, credits),
    invariants: (options) => assertInvariants(database.adminDbUrl, { memory, ...options }),
    close: async () => {
      await Promise.all(pools.map((each) => each.end()))
      await database.drop()
    },
  }
}

/** Users without a signup grant, who bought these credits instead; all in one round trip. */
async function signUpAll(admin: pg.Pool, random: Random, count: number, credits: string): Promise<string[]> {
  const made = Array.from({ length: count }, () => ({ id: random.uuid(), transactionId: random.uuid() }))
  const list = made.map(({ id, transactionId }) => `('${id}'::uuid, '${transactionId}'::uuid)`).join(', ')
  const grants = `select public.credits_grant(t, u, ${credits}, 'purchase', 'add-on') from (values ${list}) made (u, t)`
  await admin.query(
    `update public.credit_settings set signup_credits = 0 where signup_credits <> 0;
     insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
     select u, 'authenticated', 'authenticated', u || '@example.com', now(), now(), now() from (values ${list}) made (u, t);
     ${credits === '0' ? '' : grants}`,
  )
  return made.map(({ id }) => id)
}

/** What the auth server does when somebody signs up. */
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
  // A connection that is cut while it idles is part of the play.
  made.on('error', () => undefined)
  return made
}

/** The damage could not be done: the code it was made for has changed. */
export class SabotageFailed extends Error {
  override readonly name = 'SabotageFailed'
}

/** Does the deliberate damage. */
export async function commit(admin: pg.Pool, { name, sql, edits = [] }: Sabotage): Promise<void> {
  if (sql !== undefined) await admin.query(sql)
  for (const { function: target, from, to } of edits) {
    const { rows } = await admin.query<{ definition: string }>(
      'select pg_get_functiondef(p.oid) as definition from pg_proc p where p.oid = to_regproc($1)',
      [target],
    )
    const definition = rows[0]?.definition
    const changed = definition?.replace(from, to)
    if (changed === undefined || changed === definition) throw new SabotageFailed(`"${name}" found nothing to change`)
    await admin.query(changed)
  }
}
