import type pg from 'pg'
import { A, type Call, FULL, RICH, SMALL } from './call.ts'
import { CORRECTIONS } from './corrections.ts'
import { INPUTS } from './inputs.ts'
import { LIMITS } from './limits.ts'
import { PLANS } from './plans.ts'
import { RESERVATIONS } from './reservations.ts'
import { SIGNUPS } from './signups.ts'
import { TIME_AND_FREEZES } from './time-and-freezes.ts'

// Times, and random ids, differ from run to run.
const VARYING_KEYS = [
  ...['createdAt', 'expiresAt', 'closedAt', 'periodEndsAt', 'effectiveFrom', 'created_at', 'erased_at', 'asOf'],
  ...['id', 'marginId', 'lotId', 'hash', 'actual', 'expected'],
]
const VARYING = new RegExp(`"(${VARYING_KEYS.join('|')})" ?: ?"[^"]*"`, 'g')

const withoutVarying = (text: string): string => text.replaceAll(VARYING, '"$1": …')

/** Calls every function with every kind of argument: one line per answer. Schemas that differ give other lines. */
export async function transcript(client: pg.Client): Promise<string[]> {
  for (const account of [A, RICH, FULL, SMALL]) {
    await client.query('insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())', [
      account,
      `${account}@example.com`,
    ])
  }
  const lines: string[] = []
  const inputs = INPUTS.map(([name, ...args]): Call => [name, ...args.map((arg) => (arg === A ? RICH : arg))])
  const calls = [...inputs, ...LIMITS, ...RESERVATIONS, ...TIME_AND_FREEZES, ...CORRECTIONS, ...PLANS, ...SIGNUPS]
  for (const call of calls) lines.push(await answer(client, call))
  for (const query of TABLES) {
    const { rows } = await client.query(query)
    lines.push(...rows.map((row) => `${query.slice(0, 60)}: ${withoutVarying(JSON.stringify(row))}`))
  }
  return lines
}

/** What the tables contain at the end. */
const TABLES = [
  `select plan_credits, add_on_credits, debt, reserved, open_reservations, version, status, plan_id, next_plan_id,
     plan_period, user_id is null as closed from public.credit_balances order by account_id`,
  `select entry.account_id, version, type, source, amount, balance_after, uncollected, late, estimated, feature, model,
     metadata, lots, entry.erased_at, cost.reason, cost.actor_id, cost.charge
   from public.credit_transactions entry left join public.credit_transaction_costs cost using (account_id, version)
   order by account_id, version`,
  `select id, state, reserved, captured, uncollected, requested, minimum, ttl_seconds, late, metadata,
     extensions from public.credit_reservations order by account_id, id`,
  `select bucket, source, priority, amount, remaining, used_up, isfinite(expires_at) as expires
   from public.credit_lots order by account_id, version, bucket, remaining`,
  `select action, subject, old, new, reason, actor_role from public.credit_audit_log order by id`,
  `select operation, scope, target, old_margin_percent, new_margin_percent, reason, actor_id, actor_role
   from public.margin_audit_log order by id`,
  `select user_id from public.credit_admins order by user_id`,
  `select account_id, plan_id from credits_private.account_plans order by account_id, since`,
  `select transaction_id, amount, cost_usd, corrects_id from public.credit_charges order by account_id, version`,
]

async function answer(client: pg.Client, [name, ...args]: Call): Promise<string> {
  const label = `${name}(${JSON.stringify(args).slice(0, 160)})`
  try {
    if (name === 'sql') {
      const { rowCount } = await client.query(String(args[0]))
      return `${label}: ${rowCount} rows`
    }
    const list = args.map((_, index) => `$${index + 1}`).join(', ')
    const { rows } = await client.query(`select public.${name}(${list})::text as result`, args)
    return `${label}: ${withoutVarying(String(rows[0]?.result))}`
  } catch (error) {
    const { code, message, detail } = error as { code?: string; message?: string; detail?: string }
    return `${label}: ${code} ${message} ${detail ?? ''}`
  }
}
