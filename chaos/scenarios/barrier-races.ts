import { UNLOCKED_ACCOUNTS } from '../runner/broken-copies.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { throughBarrier } from '../workload/barrier.ts'
import { BRAKING_RACES } from './races/freezes.ts'
import type { Race } from './races/index.ts'
import { OPERATING_RACES } from './races/operations.ts'
import { OPENING_RACES } from './races/reservations.ts'
import { SPENDING_RACES } from './races/spending.ts'

/** Enough for mutants: every writing function writes one of these. */
const HOT_TABLES = ['public.credit_balances', 'public.credit_transactions']
const PROBE_RACES: readonly Race[] = [...SPENDING_RACES, ...OPERATING_RACES, ...OPENING_RACES]
const RACES: readonly Race[] = [...PROBE_RACES, ...BRAKING_RACES]

/** Runs every race while each table in turn is held, so that all callers decide on the same state. */
export const A1: Attack = {
  id: 'A1',
  long: true,
  claim: 'No function decides on a state that others are changing: a barrier on every table, every race',
  faults: ['barrier'],
  broken: [
    UNLOCKED_ACCOUNTS,
    {
      name: 'margins are versioned without an advisory lock',
      edits: [{ function: 'public.credits_set_margin', from: /perform pg_advisory_xact_lock[^;]*;/, to: '' }],
    },
    {
      name: 'a sweep waits for what others close',
      edits: [{ function: 'credits_private.sweep_reservations', from: /for update skip locked/, to: '' }],
    },
    {
      name: 'reserve does not check what is available',
      edits: [{ function: 'public.credits_reserve', from: /and a\.plan_credits[^>]*>= p_amount/, to: '' }],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const probe = arena.tier === 'probe'
    const tables = probe ? HOT_TABLES : await tablesOf(field)
    const callers = arena.count(50, 50, 12)
    const pool = field.pool(callers)
    const store = field.storeOver(pool)
    for (let round = 0; round < arena.goal('round', 1); round += 1) {
      for (const race of probe ? PROBE_RACES : RACES) {
        const here = race.at && !tables.includes(race.at) ? [...tables, race.at] : tables
        for (const table of here) await run(arena, { field, store, pool, random: arena.random, callers }, table, race)
      }
      arena.reached('round')
    }
    if (arena.tier !== 'ci') return
    arena.note(`${tables.length} tables x ${RACES.length} races x ${callers} callers`)
  },
}

type Parts = Parameters<Race['prepare']>[0]

async function run(arena: Arena, parts: Parts, table: string, race: Race): Promise<void> {
  const ready = await race.prepare(parts)
  const calls = Array.from({ length: parts.callers }, (_, index) => () => ready.call(index))
  const { values, waiting } = await throughBarrier(parts.field, table, calls)
  arena.ran()
  if (waiting > 1) arena.reached('barrier')
  const wrong = await ready.judge(values)
  if (wrong !== undefined) arena.violation(`${race.name}, held at ${table}: ${wrong}`)
}

async function tablesOf(field: Field): Promise<string[]> {
  const { rows } = await field.admin.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'credits_private') and c.relkind = 'r' order by 1`,
  )
  return rows.map(({ name }) => name)
}
