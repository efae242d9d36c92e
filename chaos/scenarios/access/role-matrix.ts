import type pg from 'pg'
import { rest } from '../../runner/rest.ts'
import type { Arena, Attack } from '../../runner/scenario.ts'
import type { Field } from '../../runner/test-database.ts'
import { castOf, type Presence } from './actors.ts'
import {
  type DatabaseObject,
  expectedSight,
  isExpected,
  mayExecute,
  mayUpdateColumns,
  ourObjects,
  type Sight,
} from './database-objects.ts'

/** By the message, because a policy, or what a view or function uses in turn, raises the same 42501 one layer later. */
function isRefused(refusal: string, { bare, schema, kind }: DatabaseObject): boolean {
  return [`permission denied for ${kind} ${bare}`, `permission denied for schema ${schema}`].includes(refusal)
}

const WRITES = ['insert', 'update', 'delete', 'truncate'] as const

/** E1: everybody tries everything on every object. */
export const E1: Attack = {
  id: 'E1',
  claim: 'Nine kinds of callers, every object of the catalogue, every verb: each may do exactly what is written down',
  faults: ['SQL', 'PostgREST'],
  broken: [
    {
      name: 'a policy shows everything',
      sql: 'create policy leak on public.credit_transactions for select to authenticated using (true)',
    },
    {
      name: 'users may update balances',
      sql: 'grant update on public.credit_balances to authenticated; create policy leak on public.credit_balances for update to authenticated using (true)',
    },
    { name: 'users may execute a grant', sql: 'grant execute on function public.credits_grant to authenticated' },
    { name: 'a table has no row security', sql: 'alter table public.credit_reservations disable row level security' },
    {
      name: 'a new table is open',
      sql: 'create table public.credit_new (id uuid); grant select on public.credit_new to anon',
    },
  ],
  run: async (arena) => {
    const field = await arena.open({ api: arena.tier !== 'probe' })
    const cast = await castOf(arena, field)
    const objects = await ourObjects(field.admin)
    for (const object of objects) {
      if (object.kind === 'function') continue
      arena.check(isExpected(object), `${object.name} has no row in the expectations`)
    }
    for (const presence of cast) await inSql(arena, field, presence, objects)
    if (arena.tier === 'probe') return
    for (const presence of cast) await overHttp(arena, field, presence, objects)
  },
}

async function inSql(
  arena: Arena,
  field: Field,
  presence: Presence,
  objects: readonly DatabaseObject[],
): Promise<void> {
  const client = await field.admin.connect()
  try {
    await client.query('begin')
    await tryAll(arena, client, presence, objects)
  } finally {
    await client.query('rollback')
    client.release()
  }
}

/** What counts and judges single attempts. */
export type Judge = Pick<Arena, 'ran' | 'reached' | 'check'>

/** Everything that one caller can try on some objects, inside the transaction of the given connection. */
export async function tryAll(
  arena: Judge,
  client: pg.PoolClient,
  presence: Presence,
  objects: readonly DatabaseObject[],
): Promise<void> {
  await client.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify(presence.claims)])
  await client.query(`set local role ${presence.role}`)
  for (const object of objects) {
    arena.ran()
    arena.reached('SQL')
    if (object.kind === 'function') await executes(arena, client, presence, object)
    else await touches(arena, client, presence, object)
  }
  await client.query('reset role')
}

interface Attempt {
  /** SQLSTATE and message; undefined when it went through. */
  refusal: string | undefined
  rows: Record<string, unknown>[]
}

/** Tries a statement and takes it back. */
async function attempt(client: pg.PoolClient, sql: string): Promise<Attempt> {
  await client.query('savepoint attempt')
  try {
    const { rows } = await client.query(sql)
    return { refusal: undefined, rows }
  } catch (error) {
    return { refusal: error instanceof Error ? error.message : String(error), rows: [] }
  } finally {
    await client.query('rollback to savepoint attempt')
  }
}

async function touches(arena: Judge, client: pg.PoolClient, presence: Presence, object: DatabaseObject): Promise<void> {
  const { actor } = presence
  const seen = await sightOf(client, presence, object)
  const expected = expectedSight(actor, object)
  // The two customers have rows of every kind; the others may have none.
  const customer = actor === 'user A' || actor === 'user B'
  const same = seen === expected || (seen === 'none' && expected === 'own' && !customer)
  arena.check(same, `${actor} sees "${seen}" of ${object.name}, not "${expected}"`)
  if (object.kind === 'sequence') return
  for (const verb of WRITES) {
    const { refusal } = await attempt(client, statementFor(verb, object))
    const refused = refusal !== undefined && (object.kind === 'view' || isRefused(refusal, object))
    arena.check(refused, `${actor} may ${verb} ${object.name} (${refusal ?? 'it worked'})`)
  }
  if (mayUpdateColumns(actor, object)) await ownColumnsOnly(arena, client, presence)
}

function statementFor(verb: (typeof WRITES)[number], { name }: DatabaseObject): string {
  switch (verb) {
    case 'insert':
      return `insert into ${name} default values`
    case 'update':
      return `do $$ declare c text; begin
        select quote_ident(attname) into c from pg_attribute where attrelid = '${name}'::regclass and attnum > 0
          and attidentity = '' and attgenerated = '' limit 1;
        execute format('update ${name} set %s = default', c); end $$`
    case 'delete':
      return `delete from ${name}`
    case 'truncate':
      return `truncate ${name}`
  }
}

async function sightOf(client: pg.PoolClient, { userId }: Presence, object: DatabaseObject): Promise<Sight> {
  const { name, kind } = object
  if (kind === 'sequence') return (await attempt(client, `select nextval('${name}')`)).refusal ? 'denied' : 'all'
  const { refusal, rows } = await attempt(client, `select to_jsonb(x) as row from ${name} x limit 500`)
  if (refusal !== undefined) return isRefused(refusal, object) ? 'denied' : 'all'
  if (rows.length === 0) return 'none'
  const own = rows.every(({ row }) => {
    const { account_id: account, user_id: user } = row as Record<string, unknown>
    return userId !== undefined && (account ?? user) === userId
  })
  return own ? 'own' : 'all'
}

async function ownColumnsOnly(arena: Judge, client: pg.PoolClient, { actor }: Presence): Promise<void> {
  const { refusal } = await attempt(client, `update public.profiles set role = 'admin'`)
  arena.check(refusal?.startsWith('permission denied') === true, `${actor} may change a role`)
  const { refusal: refused, rows } = await attempt(
    client,
    `update public.profiles set display_name = 'x' returning user_id`,
  )
  arena.check(
    refused === undefined && rows.length <= 1,
    `${actor} renames ${rows.length} profiles (${refused ?? 'it worked'})`,
  )
  const customer = actor === 'user A' || actor === 'user B'
  arena.check(!customer || rows.length === 1, `${actor} cannot rename the own profile`)
}

async function executes(
  arena: Judge,
  client: pg.PoolClient,
  { actor }: Presence,
  object: DatabaseObject,
): Promise<void> {
  const nulls = Array.from({ length: object.arguments }, () => 'null').join(', ')
  const { refusal } = await attempt(client, `select ${object.schema}.${object.bare}(${nulls})`)
  const may = mayExecute(actor, object)
  const closed = refusal !== undefined && isRefused(refusal, object)
  arena.check(closed !== may, `${actor} ${may ? 'may not' : 'may'} execute ${object.name} (${refusal ?? 'it worked'})`)
}

async function overHttp(
  arena: Arena,
  field: Field,
  presence: Presence,
  objects: readonly DatabaseObject[],
): Promise<void> {
  const { actor, token } = presence
  const as = token === undefined ? {} : { token }
  for (const object of objects) {
    if (object.schema !== 'public' || object.kind === 'sequence') continue
    arena.ran()
    arena.reached('PostgREST')
    if (object.kind === 'function') {
      const { status } = await rest(field, `rpc/${object.bare}`, { ...as, method: 'POST', body: {} })
      // Without its arguments a function is not even found; being found and forbidden is 401 or 403.
      const may = mayExecute(actor, object)
      arena.check(may || [401, 403, 404].includes(status), `${actor} reaches rpc/${object.bare}: ${status}`)
      continue
    }
    const read = await rest(field, `${object.bare}?limit=500`, as)
    const denied = expectedSight(actor, object) === 'denied'
    arena.check(denied === read.status >= 400, `${actor} reads ${object.bare}: ${read.status}`)
    for (const [method, headers] of VERBS) {
      const { status } = await rest(field, `${object.bare}?limit=1`, {
        ...as,
        method,
        headers,
        body: method === 'DELETE' ? undefined : {},
      })
      arena.check(status >= 400, `${actor} ${method} ${headers.Prefer ?? ''} ${object.bare}: ${status}`)
    }
  }
}

const VERBS: readonly [method: string, headers: Record<string, string>][] = [
  ['POST', {}],
  ['POST', { Prefer: 'resolution=merge-duplicates' }],
  ['PUT', {}],
  ['DELETE', {}],
]
