import type pg from 'pg'
import type { Scenario, ScenarioContext } from '../../runner/scenario.ts'
import type { TestDatabase } from '../../runner/test-database.ts'
import { newHistory } from '../../workload/history.ts'
import { traffic } from '../../workload/traffic.ts'

const LEDGER = [
  'credit_transactions',
  'credit_transaction_costs',
  'credit_rates',
  'margin_audit_log',
  'credit_audit_log',
]

/** A column of each table that an update could change. */
const COLUMN: Readonly<Record<string, string>> = {
  credit_transactions: 'metadata',
  credit_transaction_costs: 'charge',
  credit_rates: 'source',
}

/** Statements that change history; `t` is the table, `c` a column of it. */
const REWRITES: readonly ((t: string, c: string) => string)[] = [
  (t, c) => `update public.${t} set ${c} = ${c}`,
  (t) => `delete from public.${t}`,
  (t) => `truncate public.${t}`,
  (t) => `truncate public.${t} cascade`,
  (t) => `with gone as (delete from public.${t} returning 1) select * from gone`,
  (t, c) => `merge into public.${t} x using (select 1) s on true when matched then update set ${c} = x.${c}`,
  (t) => `merge into public.${t} x using (select 1) s on true when matched then delete`,
  (t) => `lock table public.${t} in access exclusive mode; delete from public.${t}`,
  (t) => `set session_replication_role = replica; delete from public.${t}`,
  (t) => `alter table public.${t} disable trigger all; delete from public.${t}`,
  (t) => `drop table public.${t}`,
]

/** Changes of one transaction; `$1` and `$2` are the account and the version. */
const changed = (assignments: string): string =>
  `update public.credit_transactions set ${assignments} where account_id = $1 and version = $2`

/** The first cost row of the account, from the version on, that has something. */
const firstCost = (column: string): string =>
  `where (account_id, version) = (
     select account_id, version from public.credit_transaction_costs
     where account_id = $1 and version >= $2 and ${column} is not null order by version limit 1)`

/** Changes that only the owner can make. Verify must find each. */
const TAMPERINGS: readonly [name: string, sql: string][] = [
  ['an amount', changed('amount = amount - 1, balance_after = balance_after - 1')],
  ['a running balance', changed('balance_after = balance_after + 1')],
  ['a time', changed(`created_at = created_at + interval '1 microsecond'`)],
  ['metadata', changed(`metadata = '{"changed": true}'`)],
  ['the lots', changed(`lots = '[]' || lots || '[{}]'`)],
  ['an id', changed('id = gen_random_uuid()')],
  ['who acted', changed('user_id = gen_random_uuid()')],
  ['a hash', changed(`hash = sha256('x')`)],
  ['a text and its hash', changed(`metadata = '{"x": 1}', text_hash = sha256(convert_to('[{"x": 1}, null]', 'UTF8'))`)],
  ['a reason', `update public.credit_transaction_costs set reason = 'because' ${firstCost('reason')}`],
  ['an erased reason', `update public.credit_transaction_costs set reason = null ${firstCost('reason')}`],
  ['a cost', `update public.credit_transaction_costs set charge = charge || '{"costUsd": "1"}' ${firstCost('charge')}`],
  ['a cost row removed', `delete from public.credit_transaction_costs ${firstCost('version')}`],
  ['a row removed', 'delete from public.credit_transactions where account_id = $1 and version = $2'],
  ['the last rows removed', 'delete from public.credit_transactions where account_id = $1 and version >= $2'],
  [
    'a balance',
    'update public.credit_balances set add_on_credits = add_on_credits + 1 where account_id = $1 and $2 > 0',
  ],
  ['a reserved sum', 'update public.credit_balances set reserved = reserved + 1 where account_id = $1 and $2 > 0'],
  [
    'a lot',
    `update public.credit_lots set amount = amount + 1, remaining = remaining + 1
     where account_id = $1 and $2 > 0 and id = (
       select id from public.credit_lots where account_id = $1 and not used_up limit 1)`,
  ],
]

/** E4: history cannot be changed; a change by the owner of the database is found. */
export const E4: Scenario = {
  id: 'E4',
  claim:
    'API roles and the role of the migrations cannot change history, and verify finds every change that is made ' +
    'with the guards disabled.',
  faults: ['rewrite', 'tampering'],
  broken: [
    { name: 'the ledger accepts updates, deletes and truncate', guards: ['append-only'] },
    {
      name: 'the hash leaves out the reason',
      sql: `create or replace function credits_private.text_hash(p_metadata jsonb, p_reason text)
        returns bytea language sql immutable set search_path = '' as $$
          select sha256(convert_to(p_metadata::text, 'UTF8')) $$`,
    },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const accounts = [await database.user('1000'), await database.user('1000'), await database.user('1000')]
    await traffic({
      store: database.store(1),
      accounts,
      random: context.random,
      history: newHistory(),
      operations: 150,
    })
    await database
      .pool(1)
      .query(`select public.credits_set_margin('feature', 'chaos', 5), public.credits_freeze_account($1, false)`, [
        accounts[0],
      ])
    await database.pool(1).query(
      `select public.credits_set_rates(
          '[{"modelId": "chaos/x", "type": "language", "pricing": {}, "source": "chaos"}]')`,
    )
    await tryRewrites(context, database)
    context.check((await verify(database.watcher)) === 0, 'verify finds faults in a ledger that was not changed')
    const wanted = context.goal('tampering', TAMPERINGS.length)
    // Some find no row to change, so twice as many are tried.
    for (let count = 0, done = 0; done < wanted && count < 2 * wanted; count += 1) {
      done += await tamper(context, database, accounts, TAMPERINGS[count % TAMPERINGS.length] ?? ['', ''])
    }
  },
}

async function tryRewrites(context: ScenarioContext, database: TestDatabase): Promise<void> {
  for (const role of ['anon', 'authenticated', 'service_role', 'postgres']) {
    for (const table of LEDGER) {
      for (const rewrite of REWRITES) {
        const owner = role === 'postgres'
        const sql = rewrite(table, COLUMN[table] ?? 'reason')
        // The owner can always alter and drop. Verify finds that.
        if (owner && /drop table|disable trigger/.test(sql)) continue
        const { rows: before } = await database.watcher.query(`select count(*)::int as n from public.${table}`)
        if (before[0].n === 0) continue
        const client = await database.admin.connect()
        await client.query('begin')
        await client.query(`set local role ${role}`)
        const worked = await client.query(sql).then(
          () => true,
          () => false,
        )
        await client.query('rollback')
        await client.query('reset session_replication_role')
        client.release()
        context.countRuns()
        context.countFault('rewrite')
        context.check(!worked, `${role} may: ${sql}`)
      }
    }
  }
}

async function tamper(
  context: ScenarioContext,
  database: TestDatabase,
  accounts: readonly string[],
  [name, sql]: readonly [string, string],
): Promise<number> {
  const client = await database.admin.connect()
  try {
    const account = context.random.pick(accounts)
    const { rows } = await client.query('select version::int from public.credit_balances where account_id = $1', [
      account,
    ])
    const version = context.random.between(1, rows[0].version)
    await client.query('begin; set local session_replication_role = replica')
    // A constraint may refuse it, or there is no such row.
    const { rowCount } = await client.query(sql, [account, version]).catch(() => ({ rowCount: 0 }))
    if (!rowCount) return 0
    context.countRuns()
    context.countFault('tampering')
    context.check((await verify(client)) > 0, `verify does not find ${name} changed`, { account, version })
    return 1
  } finally {
    await client.query('rollback')
    client.release()
  }
}

type Cursor = { accountId: string; version: number } | null

/** The functions behind `credits verify`, page by page. */
async function verify(client: pg.Pool | pg.PoolClient): Promise<number> {
  let faults = 0
  let next: Cursor = null
  do {
    const { rows }: pg.QueryResult = await client.query(
      'select public.credits_verify_transactions($1, $2, 5000) as page',
      [next?.accountId ?? null, next?.version ?? null],
    )
    faults += rows[0].page.faults.length
    next = rows[0].page.next as Cursor
  } while (next)
  const { rows } = await client.query('select public.credits_verify_accounts(null, 1000) as page')
  return faults + rows[0].page.faults.length
}
