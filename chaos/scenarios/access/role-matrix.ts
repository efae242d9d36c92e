import { rest } from '../../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../../runner/scenario.ts'
import type { TestDatabase } from '../../runner/test-database.ts'
import { checkAccess } from './access-checks.ts'
import { type Actor, createActors } from './actors.ts'
import { type DatabaseObject, expectedVisibility, isExpected, mayExecute, ourObjects } from './database-objects.ts'

/** E1: every actor tries every verb on every object. */
export const E1: Scenario = {
  id: 'E1',
  claim: 'Each of nine kinds of callers may do exactly what is written down with every object of our schemas.',
  faults: ['SQL', 'PostgREST'],
  broken: [
    {
      name: 'a policy shows everything',
      sql: 'create policy leak on public.credit_transactions for select to authenticated using (true)',
    },
    {
      name: 'users may update balances',
      sql: `grant update on public.credit_balances to authenticated;
        create policy leak on public.credit_balances for update to authenticated using (true)`,
    },
    { name: 'users may execute a grant', sql: 'grant execute on function public.credits_grant to authenticated' },
    { name: 'a table has no row security', sql: 'alter table public.credit_reservations disable row level security' },
    {
      name: 'a new table is open',
      sql: 'create table public.credit_new (id uuid); grant select on public.credit_new to anon',
    },
  ],
  run: async (context) => {
    const database = await context.openDatabase({ api: context.tier !== 'probe' })
    const actors = await createActors(context, database)
    const objects = await ourObjects(database.admin)
    for (const object of objects) {
      if (object.kind === 'function') continue
      context.check(isExpected(object), `${object.name} has no row in the expectations`)
    }
    for (const actor of actors) await checkInSql(context, database, actor, objects)
    if (context.tier === 'probe') return
    for (const actor of actors) await checkOverHttp(context, database, actor, objects)
  },
}

async function checkInSql(
  context: ScenarioContext,
  database: TestDatabase,
  actor: Actor,
  objects: readonly DatabaseObject[],
): Promise<void> {
  const client = await database.admin.connect()
  try {
    await client.query('begin')
    await checkAccess(context, client, actor, objects)
  } finally {
    await client.query('rollback')
    client.release()
  }
}

const VERBS: readonly [method: string, headers: Record<string, string>][] = [
  ['POST', {}],
  ['POST', { Prefer: 'resolution=merge-duplicates' }],
  ['PUT', {}],
  ['DELETE', {}],
]

async function checkOverHttp(
  context: ScenarioContext,
  database: TestDatabase,
  actor: Actor,
  objects: readonly DatabaseObject[],
): Promise<void> {
  const { name } = actor
  const as = actor.token === undefined ? {} : { token: actor.token }
  for (const object of objects) {
    if (object.schema !== 'public' || object.kind === 'sequence') continue
    context.countRuns()
    context.countFault('PostgREST')
    if (object.kind === 'function') {
      const { status } = await rest(database, `rpc/${object.bare}`, { ...as, method: 'POST', body: {} })
      // A function is not found without its arguments. Found and forbidden is 401 or 403.
      const may = mayExecute(name, object)
      context.check(may || [401, 403, 404].includes(status), `${name} reaches rpc/${object.bare}: ${status}`)
      continue
    }
    const read = await rest(database, `${object.bare}?limit=500`, as)
    const denied = expectedVisibility(name, object) === 'denied'
    context.check(denied === read.status >= 400, `${name} reads ${object.bare}: ${read.status}`)
    for (const [method, headers] of VERBS) {
      const body = method === 'DELETE' ? undefined : {}
      const { status } = await rest(database, `${object.bare}?limit=1`, { ...as, method, headers, body })
      context.check(status >= 400, `${name} ${method} ${headers.Prefer ?? ''} ${object.bare}: ${status}`)
    }
  }
}
