import type pg from 'pg'
import type { Arena } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { castOf, type Presence } from '../scenarios/access/actors.ts'
import { type DatabaseObject, ourObjects } from '../scenarios/access/database-objects.ts'
import { tryAll } from '../scenarios/access/role-matrix.ts'
import { newHistory, traffic } from '../workload/traffic.ts'
import type { Court, Death } from './kill.ts'
import { judgeSql } from './kill.ts'
import type { ObjectMutant } from './objects.ts'
import { observe } from './poison.ts'

/** Where removed guards are tried: one database with rows in every table; every trial is rolled back. */
export interface GuardHouse {
  court: Court
  field: Field
  cast: readonly Presence[]
  objects: readonly DatabaseObject[]
  /** What each table refuses when nothing is removed. */
  baseline: Map<string, string[]>
}

/** Fills a database so that each table has a row to try things on. */
export async function openGuardHouse(arena: Arena, court: Court): Promise<GuardHouse> {
  const field = await arena.open()
  const cast = await castOf(arena, field)
  const customer = cast.find(({ actor }) => actor === 'user A')?.userId ?? ''
  await traffic({
    store: field.store(1),
    accounts: [customer],
    random: arena.random,
    history: newHistory(),
    operations: 60,
  })
  const pool = field.pool(1)
  await pool.query(
    `select public.credits_set_rates('[{"modelId": "chaos/x", "type": "language", "pricing": {}, "source": "chaos"}]', '{"old": "chaos/x"}')`,
  )
  await pool.query(`select public.credits_set_margin('feature', 'chaos', 5)`)
  return { court, field, cast, objects: await ourObjects(field.admin), baseline: new Map() }
}

/** Tries to notice that a guard is missing. */
export async function judgeGuard(house: GuardHouse, mutant: ObjectMutant): Promise<Death> {
  const first = mutant.kind === 'constraint' || mutant.kind === 'trigger' ? poisoned : trespassed
  const death = await first(house, mutant)
  if (death || mutant.kind === 'revoke') return death
  return judgeSql(house.court, mutant.sql)
}

async function poisoned({ field, baseline }: GuardHouse, { sql, object }: ObjectMutant): Promise<Death> {
  if (object.startsWith('auth.')) return undefined
  const expected = baseline.get(object) ?? (await inTransaction(field, (client) => observe(client, object)))
  baseline.set(object, expected)
  const got = await inTransaction(field, async (client) => {
    await client.query(sql)
    return observe(client, object)
  })
  const place = got.findIndex((line, index) => line !== expected[index])
  return place < 0
    ? undefined
    : { by: 'poisoned rows', because: `${got[place]}, not ${expected[place]?.split(': ')[1]}` }
}

/** The role matrix of E1 on the one object. */
async function trespassed({ field, cast, objects }: GuardHouse, { sql, object }: ObjectMutant): Promise<Death> {
  const targets = objects.filter(({ name }) => name === object)
  const found: string[] = []
  const judge = {
    ran: () => undefined,
    reached: () => undefined,
    check: (holds: boolean, what: string) => void (holds || found.push(what)),
  }
  await inTransaction(field, async (client) => {
    await client.query(sql)
    for (const presence of cast) await tryAll(judge, client, presence, targets)
  })
  return found[0] === undefined ? undefined : { by: 'E1', because: found[0] }
}

async function inTransaction<Value>(field: Field, work: (client: pg.PoolClient) => Promise<Value>): Promise<Value> {
  const client = await field.admin.connect()
  try {
    await client.query('begin')
    return await work(client)
  } finally {
    await client.query('rollback')
    client.release()
  }
}
