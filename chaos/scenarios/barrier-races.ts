import { UNLOCKED_ACCOUNTS } from '../runner/broken-copy.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { throughBarrier } from '../workload/barrier.ts'
import { ACCOUNT_RACES } from './races/accounts.ts'
import { FREEZE_RACES } from './races/freezes.ts'
import { OPERATOR_RACES } from './races/operations.ts'
import type { Race, RaceParts } from './races/race.ts'
import { SPENDING_RACES } from './races/spending.ts'

/** Enough for mutants: every writing function writes one of these. */
const HOT_TABLES = ['public.credit_balances', 'public.credit_transactions']
const PROBE_RACES: readonly Race[] = [...SPENDING_RACES, ...OPERATOR_RACES, ...ACCOUNT_RACES]
const RACES: readonly Race[] = [...PROBE_RACES, ...FREEZE_RACES]

/** Runs every race while each table in turn is locked, so that all callers decide on the same state. */
export const A1: Scenario = {
  id: 'A1',
  long: true,
  claim: 'No function decides on a state that another call is changing, in any race, with a barrier at any table.',
  faults: ['barrier'],
  broken: [
    UNLOCKED_ACCOUNTS,
    { name: 'margins are numbered without an advisory lock', guards: ['lock-margin'] },
    { name: 'rates are compared without an advisory lock', guards: ['lock-rates'] },
    { name: 'due work waits for reservations that others close', guards: ['skip-locked-reservations'] },
    { name: 'reserve does not check what is available', guards: ['enough-credits'] },
    { name: 'a repeated extension extends again', guards: ['extend-once'] },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const probe = context.tier === 'probe'
    const tables = probe ? HOT_TABLES : await tablesOf(database)
    const callers = context.byTier(50, 50, 12)
    const pool = database.pool(callers)
    const parts = { database, store: database.storeOver(pool), pool, random: context.random, callers }
    for (let round = 0; round < context.goal('round', 1); round += 1) {
      for (const race of probe ? PROBE_RACES : RACES) {
        const barriers = race.at && !tables.includes(race.at) ? [...tables, race.at] : tables
        for (const table of barriers) await runRace(context, parts, table, race)
      }
      context.countFault('round')
    }
    if (!probe) context.note(`${tables.length} tables x ${RACES.length} races x ${callers} callers`)
  },
}

async function runRace(context: ScenarioContext, parts: RaceParts, table: string, race: Race): Promise<void> {
  const prepared = await race.prepare(parts)
  const calls = Array.from({ length: parts.callers }, (_, index) => () => prepared.call(index))
  const { values, waiting } = await throughBarrier(parts.database, table, calls)
  context.countRuns()
  if (waiting > 1) context.countFault('barrier')
  const fault = await prepared.findFault(values)
  if (fault !== undefined) context.violation(`${race.name}, barrier at ${table}: ${fault}`)
}

async function tablesOf(database: TestDatabase): Promise<string[]> {
  const { rows } = await database.admin.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'credits_private') and c.relkind = 'r' and c.relname <> 'profiles' order by 1`,
  )
  return rows.map(({ name }) => name)
}
