import type pg from 'pg'
import type { ScenarioContext } from '../../runner/scenario.ts'
import type { Actor } from './actors.ts'
import {
  type DatabaseObject,
  expectedVisibility,
  mayExecute,
  mayUpdateColumns,
  type Visibility,
} from './database-objects.ts'

/** What counts and judges single statements. */
export type AccessReport = Pick<ScenarioContext, 'countRuns' | 'countFault' | 'check'>

/** Everything that one actor can try on some objects, inside the transaction of the given connection. */
export async function checkAccess(
  report: AccessReport,
  client: pg.PoolClient,
  actor: Actor,
  objects: readonly DatabaseObject[],
): Promise<void> {
  await client.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify(actor.claims)])
  await client.query(`set local role ${actor.role}`)
  for (const object of objects) {
    report.countRuns()
    report.countFault('SQL')
    if (object.kind === 'function') await checkFunction(report, client, actor, object)
    else await checkRelation(report, client, actor, object)
  }
  await client.query('reset role')
}

/** By the message, because a policy, or what a view or function uses, raises the same 42501 one level below. */
function isRefused(refusal: string, { bare, schema, kind }: DatabaseObject): boolean {
  return [`permission denied for ${kind} ${bare}`, `permission denied for schema ${schema}`].includes(refusal)
}

const WRITES = ['insert', 'update', 'delete', 'truncate'] as const

interface Tried {
  /** Message of the error; undefined when the statement worked. */
  refusal: string | undefined
  rows: Record<string, unknown>[]
}

/** Runs a statement and rolls it back. */
async function tryStatement(client: pg.PoolClient, sql: string): Promise<Tried> {
  await client.query('savepoint tried')
  try {
    const { rows } = await client.query(sql)
    return { refusal: undefined, rows }
  } catch (error) {
    return { refusal: error instanceof Error ? error.message : String(error), rows: [] }
  } finally {
    await client.query('rollback to savepoint tried')
  }
}

/** These two have rows of every kind. */
const hasRows = ({ name }: Actor): boolean => name === 'user A' || name === 'user B'

async function checkRelation(
  report: AccessReport,
  client: pg.PoolClient,
  actor: Actor,
  object: DatabaseObject,
): Promise<void> {
  const seen = await visibilityOf(client, actor, object)
  const expected = expectedVisibility(actor.name, object)
  const same = seen === expected || (seen === 'none' && expected === 'own' && !hasRows(actor))
  report.check(same, `${actor.name} sees "${seen}" of ${object.name}, not "${expected}"`)
  if (object.kind === 'sequence') return
  for (const verb of WRITES) {
    const { refusal } = await tryStatement(client, statementFor(verb, object))
    const refused = refusal !== undefined && (object.kind === 'view' || isRefused(refusal, object))
    report.check(refused, `${actor.name} may ${verb} ${object.name} (${refusal ?? 'it worked'})`)
  }
  if (mayUpdateColumns(actor.name, object)) await checkOwnColumns(report, client, actor)
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

async function visibilityOf(client: pg.PoolClient, { userId }: Actor, object: DatabaseObject): Promise<Visibility> {
  const { name, kind } = object
  if (kind === 'sequence') return (await tryStatement(client, `select nextval('${name}')`)).refusal ? 'denied' : 'all'
  const { refusal, rows } = await tryStatement(client, `select to_jsonb(x) as row from ${name} x limit 500`)
  if (refusal !== undefined) return isRefused(refusal, object) ? 'denied' : 'all'
  if (rows.length === 0) return 'none'
  const own = rows.every(({ row }) => {
    const { account_id: account, user_id: user } = row as Record<string, unknown>
    return userId !== undefined && (account ?? user) === userId
  })
  return own ? 'own' : 'all'
}

async function checkOwnColumns(report: AccessReport, client: pg.PoolClient, actor: Actor): Promise<void> {
  const role = await tryStatement(client, `update public.profiles set role = 'admin'`)
  report.check(role.refusal?.startsWith('permission denied') === true, `${actor.name} may change a role`)
  const rename = `update public.profiles set display_name = 'x' returning user_id`
  const { refusal, rows } = await tryStatement(client, rename)
  const renamed = `${actor.name} renames ${rows.length} profiles (${refusal ?? 'it worked'})`
  report.check(refusal === undefined && rows.length <= 1, renamed)
  report.check(!hasRows(actor) || rows.length === 1, `${actor.name} cannot rename the own profile`)
}

async function checkFunction(
  report: AccessReport,
  client: pg.PoolClient,
  { name }: Actor,
  object: DatabaseObject,
): Promise<void> {
  const nulls = Array.from({ length: object.arguments }, () => 'null').join(', ')
  const { refusal } = await tryStatement(client, `select ${object.schema}.${object.bare}(${nulls})`)
  const may = mayExecute(name, object)
  const closed = refusal !== undefined && isRefused(refusal, object)
  report.check(closed !== may, `${name} ${may ? 'may not' : 'may'} execute ${object.name} (${refusal ?? 'it worked'})`)
}
