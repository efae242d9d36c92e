import type pg from 'pg'
import type { ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { checkAccess } from '../scenarios/access/access-checks.ts'
import { type Actor, createActors } from '../scenarios/access/actors.ts'
import { type DatabaseObject, ourObjects } from '../scenarios/access/database-objects.ts'
import { newHistory } from '../workload/history.ts'
import { traffic } from '../workload/traffic.ts'
import { type Kill, killByTranscript, type MutantSuite } from './kill.ts'
import type { ObjectMutant } from './object-mutants.ts'
import { listRefusals } from './table-refusals.ts'

/** Where object mutants are tried: one database with rows in every table. Every trial is rolled back. */
export interface ObjectSuite {
  suite: MutantSuite
  database: TestDatabase
  actors: readonly Actor[]
  objects: readonly DatabaseObject[]
  /** What each table refuses on the real schema. */
  refusals: Map<string, string[]>
}

/** Fills a database so that each table has a row. */
export async function openObjectSuite(context: ScenarioContext, suite: MutantSuite): Promise<ObjectSuite> {
  const database = await context.openDatabase()
  const actors = await createActors(context, database)
  const userId = actors.find(({ name }) => name === 'user A')?.userId ?? ''
  const callers = { accounts: [userId], random: context.random, history: newHistory(), operations: 60 }
  await traffic({ store: database.store(1), ...callers })
  const pool = database.pool(1)
  await pool.query(
    `select public.credits_set_rates(
      '[{"modelId": "chaos/x", "type": "language", "pricing": {}, "source": "chaos"}]', '{"old": "chaos/x"}')`,
  )
  await pool.query(`select public.credits_set_margin('feature', 'chaos', 5)`)
  return { suite, database, actors, objects: await ourObjects(database.admin), refusals: new Map() }
}

/** Tries to kill an object mutant. */
export async function killObjectMutant(objects: ObjectSuite, mutant: ObjectMutant): Promise<Kill> {
  const first = mutant.kind === 'constraint' || mutant.kind === 'trigger' ? killByRefusals : killByAccess
  const kill = await first(objects, mutant)
  if (kill || mutant.kind === 'revoke') return kill
  return killByTranscript(objects.suite, mutant.sql)
}

/** Compares what the table refuses with and without the guard. */
async function killByRefusals({ database, refusals }: ObjectSuite, { sql, object }: ObjectMutant): Promise<Kill> {
  if (object.startsWith('auth.')) return undefined
  const expected = refusals.get(object) ?? (await inTransaction(database, (client) => listRefusals(client, object)))
  refusals.set(object, expected)
  const got = await inTransaction(database, async (client) => {
    await client.query(sql)
    return listRefusals(client, object)
  })
  const place = got.findIndex((line, index) => line !== expected[index])
  if (place < 0) return undefined
  return { by: 'refusals of the table', because: `${got[place]}, not ${expected[place]?.split(': ')[1]}` }
}

/** The access checks of E1 on the one object. */
async function killByAccess({ database, actors, objects }: ObjectSuite, { sql, object }: ObjectMutant): Promise<Kill> {
  const targets = objects.filter(({ name }) => name === object)
  const found: string[] = []
  const report = {
    countRuns: () => undefined,
    countFault: () => undefined,
    check: (condition: boolean, what: string) => void (condition || found.push(what)),
  }
  await inTransaction(database, async (client) => {
    await client.query(sql)
    for (const actor of actors) await checkAccess(report, client, actor, targets)
  })
  return found[0] === undefined ? undefined : { by: 'E1', because: found[0] }
}

async function inTransaction<Value>(
  database: TestDatabase,
  work: (client: pg.PoolClient) => Promise<Value>,
): Promise<Value> {
  const client = await database.admin.connect()
  try {
    await client.query('begin')
    return await work(client)
  } finally {
    await client.query('rollback')
    client.release()
  }
}
