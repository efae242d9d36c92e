import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { ACCOUNT, ID, type Script } from './driver.ts'

/** Accounts of every ledger; account n has the id n. */
export const ACCOUNTS = 1000

const CHARGE = JSON.stringify({
  amount: '0.005',
  costUsd: '0.00003125',
  marginPercent: '60',
  costSource: 'rate',
  model: 'openai/gpt-4o-mini',
  usage: { inputTokens: 100, outputTokens: 20 },
  inputTokens: 100,
  outputTokens: 20,
  metadata: {},
})

/** Two transactions, each one UPDATE of a balance by key and one INSERT, one round trip each. */
export const FLOOR: Script = {
  name: 'floor',
  statements: [
    floorStatement('amount - 0.01', `${ID}, id, 0.01`),
    floorStatement('amount + 0.005', `lpad(to_hex(:id::bigint), 32, 'f')::uuid, id, 0.005`),
  ],
}

function floorStatement(amount: string, entry: string): string {
  const update = `update bench.balance set amount = ${amount} where id = ${ACCOUNT} returning id`
  return `with changed as (${update}) insert into bench.entry (id, account, amount) select ${entry} from changed`
}

/** Reserve and settle with everything the library sends. */
export const PAIR: Script = {
  name: 'pair',
  statements: [
    `select public.credits_reserve(${ACCOUNT}, ${ID}, 0.01, null, 300, 'chat', 'openai/gpt-4o-mini')`,
    // No colon may stand before a letter: pgbench would take it for a variable.
    `select public.credits_settle(${ACCOUNT}, ${ID}, '${CHARGE.replaceAll(':', ': ')}')`,
  ],
}

export const BALANCE_READ: Script = { name: 'balance', statements: [`select public.credits_get_balance(${ACCOUNT})`] }
export const HISTORY_PAGE: Script = {
  name: 'history',
  statements: [`select public.credits_get_history(${ACCOUNT}, 20)`],
}

/** A server with durable commits, unlike that of a test. */
export async function startServer(): Promise<{ stack: Stack; folder: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-'))
  // Postgres runs under an account of its own when this one is root.
  chmodSync(folder, 0o711)
  const postgresFlags = ['fsync=on', 'synchronous_commit=on', 'shared_buffers=512MB', 'max_wal_size=8GB']
  const stack = await startStack({
    port: 0,
    dataDir: path.join(folder, 'stack'),
    restartOnCrash: false,
    seedFile: null,
    postgresFlags,
  })
  const stop = async (): Promise<void> => {
    await stack.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { stack, folder, stop }
}

/** A copy of the schema with accounts that can pay, the floor's tables, and so many transactions. */
export async function makeLedger(
  stack: Stack,
  transactions: number,
  api = false,
): Promise<{ dbUrl: string; restUrl: string }> {
  const { adminDbUrl, restUrl } = await stack.cloneDatabase({ api })
  const client = new pg.Client({ connectionString: adminDbUrl })
  await client.connect()
  const account = (n: string): string => `lpad(to_hex(${n}::bigint), 32, '0')::uuid`
  await client.query(`
    create schema bench;
    create table bench.balance (id uuid primary key, amount numeric(20, 6) not null) with (fillfactor = 50);
    create table bench.entry (
      id uuid primary key, account uuid not null, amount numeric(20, 6) not null, at timestamptz not null default now()
    );
    insert into bench.balance select ${account('n')}, 1000000000 from generate_series(1, ${ACCOUNTS}) n;
    create function public.bench_trivial(p_id uuid) returns jsonb language plpgsql
      as 'begin return jsonb_build_object(''id'', p_id); end';
    grant execute on function public.bench_trivial(uuid) to service_role;
    notify pgrst, 'reload schema';
    update public.credit_settings set signup_credits = 0, max_open_reservations = 10000;
    insert into auth.users (id, email, email_confirmed_at)
      select ${account('n')}, n || '@example.com', now() from generate_series(1, ${ACCOUNTS}) n;
    select count(public.credits_grant(account_id, gen_random_uuid(), 1000000000, 'purchase', 'add-on'))
      from public.credit_balances`)
  await fill(client, Math.ceil(transactions / ACCOUNTS), account)
  await client.query('vacuum (analyze) public.credit_balances, public.credit_transactions, public.credit_reservations')
  await client.query('checkpoint')
  await client.end()
  return { dbUrl: adminDbUrl, restUrl }
}

/** A history of charges with their reservations, account after account and version after version. */
async function fill(client: pg.Client, perAccount: number, account: (n: string) => string): Promise<void> {
  if (perAccount === 0) return
  const id = `lpad(to_hex(version::bigint * 1000000 + n), 32, 'e')::uuid`
  const time = `now() - interval '1 year' + version * interval '1 minute'`
  const all = `from generate_series(2, ${perAccount + 1}) version, generate_series(1, ${ACCOUNTS}) n`
  await client.query(`
    set session_replication_role = replica;
    insert into public.credit_transactions (account_id, version, id, user_id, type, amount, balance_after,
        reservation_id, feature, model, input_tokens, output_tokens, text_hash, created_at, hash)
      select ${account('n')}, version, ${id}, ${account('n')}, 'usage', -0.005, 1000000000,
        ${id}, 'chat', 'openai/gpt-4o-mini', 100, 20, sha256(''), ${time}, sha256(int8send(version)) ${all};
    insert into public.credit_reservations (id, account_id, user_id, state, reserved, captured, requested, minimum,
        created_at, expires_at, closed_at)
      select ${id}, ${account('n')}, ${account('n')}, 'settled', 0.005, 0.005, 0.01, 0.01,
        ${time}, ${time} + interval '5 minutes', now() ${all};
    update public.credit_balances set version = ${perAccount + 1};
    set session_replication_role = origin`)
}
