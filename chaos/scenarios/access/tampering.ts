import type pg from 'pg'
import type { Arena, Attack } from '../../runner/scenario.ts'
import type { Field } from '../../runner/test-database.ts'
import { newHistory, traffic } from '../../workload/traffic.ts'

const LEDGER = [
  'credit_transactions',
  'credit_transaction_costs',
  'credit_rates',
  'margin_audit_log',
  'credit_audit_log',
]

/** Ways to change history with SQL; `t` is the table, `c` a column of it. */
const WAYS: readonly ((t: string, c: string) => string)[] = [
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

/** Changes that only an owner can make; each must be found. `$1`, `$2` are the account and the version. */
const TAMPERINGS: readonly [name: string, sql: string][] = [
  [
    'an amount',
    'update public.credit_transactions set amount = amount - 1, balance_after = balance_after - 1 where account_id = $1 and version = $2',
  ],
  [
    'a running balance',
    'update public.credit_transactions set balance_after = balance_after + 1 where account_id = $1 and version = $2',
  ],
  [
    'a time',
    `update public.credit_transactions set created_at = created_at + interval '1 microsecond' where account_id = $1 and version = $2`,
  ],
  ['a reason', `update public.credit_transactions set reason = 'because' where account_id = $1 and version = $2`],
  [
    'metadata',
    `update public.credit_transactions set metadata = '{"changed": true}' where account_id = $1 and version = $2`,
  ],
  [
    'the lots',
    `update public.credit_transactions set lots = '[]' || lots || '[{}]' where account_id = $1 and version = $2`,
  ],
  ['an id', 'update public.credit_transactions set id = gen_random_uuid() where account_id = $1 and version = $2'],
  [
    'who acted',
    'update public.credit_transactions set user_id = gen_random_uuid() where account_id = $1 and version = $2',
  ],
  ['a hash', `update public.credit_transactions set hash = sha256('x') where account_id = $1 and version = $2`],
  ['a row removed', 'delete from public.credit_transactions where account_id = $1 and version = $2'],
  ['the last rows removed', 'delete from public.credit_transactions where account_id = $1 and version >= $2'],
  [
    'a cost',
    `with x as (update public.credit_transaction_costs set charge = charge || '{"costUsd": "1"}' where (account_id, version) in (select account_id, version from public.credit_transaction_costs where account_id = $1 and version >= $2 limit 1) returning 1) select * from x`,
  ],
  [
    'a cost row removed',
    'delete from public.credit_transaction_costs where (account_id, version) in (select account_id, version from public.credit_transaction_costs where account_id = $1 and version >= $2 limit 1)',
  ],
  [
    'a balance',
    'update public.credit_balances set add_on_credits = add_on_credits + 1 where account_id = $1 and $2 > 0',
  ],
  ['a reserved sum', 'update public.credit_balances set reserved = reserved + 1 where account_id = $1 and $2 > 0'],
  [
    'a lot',
    'update public.credit_lots set amount = amount + 1, remaining = remaining + 1 where id = (select id from public.credit_lots l where account_id = $1 and $2 > 0 and remaining > 0 and id is distinct from (select current_lot_id from public.credit_balances where account_id = l.account_id) limit 1)',
  ],
]

/** E4: nobody changes history; who owns the database and does it anyway is found out. */
export const E4: Attack = {
  id: 'E4',
  claim:
    'API roles and the owner’s everyday role cannot change history; whoever disables the guards is found by verify',
  faults: ['way', 'tampering'],
  broken: [
    {
      name: 'the ledger takes updates',
      sql: 'drop trigger credit_transactions_append_only on public.credit_transactions',
    },
    {
      name: 'the ledger can be emptied',
      sql: 'drop trigger credit_transactions_no_truncate on public.credit_transactions',
    },
    {
      name: 'the hash leaves out the reason',
      edits: [{ function: 'credits_private.transaction_hash', from: 't.model, t.reason,', to: 't.model, null::text,' }],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const accounts = [await field.user('1000'), await field.user('1000'), await field.user('1000')]
    await traffic({ store: field.store(1), accounts, random: arena.random, history: newHistory(), operations: 150 })
    await field
      .pool(1)
      .query(`select public.credits_set_margin('feature', 'chaos', 5), public.credits_freeze_account($1, false)`, [
        accounts[0],
      ])
    await field
      .pool(1)
      .query(
        `select public.credits_set_rates('[{"modelId": "chaos/x", "type": "language", "pricing": {}, "source": "chaos"}]')`,
      )
    await assault(arena, field)
    arena.check((await verify(field.watcher)) === 0, 'verify finds faults in books that nobody touched')
    const wanted = arena.goal('tampering', TAMPERINGS.length)
    // Some find nothing to change: twice as many tries are enough.
    for (let count = 0, done = 0; done < wanted && count < 2 * wanted; count += 1) {
      done += await tamper(arena, field, accounts, TAMPERINGS[count % TAMPERINGS.length] ?? ['', ''])
    }
  },
}

async function assault(arena: Arena, field: Field): Promise<void> {
  for (const role of ['anon', 'authenticated', 'service_role', 'postgres']) {
    for (const table of LEDGER) {
      for (const way of WAYS) {
        const owner = role === 'postgres'
        const sql = way(table, table === 'credit_rates' ? 'source' : 'reason').replace(
          'reason',
          table === 'credit_transaction_costs' ? 'charge' : 'reason',
        )
        // The owner can always alter and drop: that is what verify is for.
        if (owner && /drop table|disable trigger/.test(sql)) continue
        const { rows: before } = await field.watcher.query(`select count(*)::int as n from public.${table}`)
        if (before[0].n === 0) continue
        const client = await field.admin.connect()
        await client.query('begin')
        await client.query(`set local role ${role}`)
        const worked = await client.query(sql).then(
          () => true,
          () => false,
        )
        await client.query('rollback')
        await client.query('reset session_replication_role')
        client.release()
        arena.ran()
        arena.reached('way')
        arena.check(!worked, `${role} may: ${sql}`)
      }
    }
  }
}

async function tamper(
  arena: Arena,
  field: Field,
  accounts: readonly string[],
  [name, sql]: readonly [string, string],
): Promise<number> {
  const client = await field.admin.connect()
  try {
    const account = arena.random.pick(accounts)
    const { rows } = await client.query('select version::int from public.credit_balances where account_id = $1', [
      account,
    ])
    const version = arena.random.between(1, rows[0].version)
    await client.query('begin; set local session_replication_role = replica')
    // A constraint may refuse it, or there is nothing of the kind.
    const { rowCount } = await client.query(sql, [account, version]).catch(() => ({ rowCount: 0 }))
    if (!rowCount) return 0
    arena.ran()
    arena.reached('tampering')
    arena.check((await verify(client)) > 0, `verify does not find ${name} changed`, { account, version })
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
