import type pg from 'pg'
import { A, type Call, FULL, RICH, SMALL } from './script/call.ts'
import { CORNERS } from './script/corners.ts'
import { ENDS } from './script/ends.ts'
import { FLOWS } from './script/flows.ts'
import { INPUTS } from './script/inputs.ts'
import { PLANS } from './script/plans.ts'
import { SIGNUPS } from './script/signups.ts'

// Times, and what is made by chance, differ from run to run.
const VOLATILE =
  /"(createdAt|expiresAt|closedAt|periodEndsAt|effectiveFrom|created_at|asOf|id|marginId|lotId|hash|actual|expected)" ?: ?"[^"]*"/g

const settled = (text: string): string => text.replaceAll(VOLATILE, '"$1": …')

/** Everything that can be said to the functions, at every edge, and what came of it: two schemas that differ answer differently. */
export async function transcript(client: pg.Client): Promise<string[]> {
  for (const account of [A, RICH, FULL, SMALL]) {
    await client.query('insert into auth.users (id, email, email_confirmed_at) values ($1, $2, now())', [
      account,
      `${account}@example.com`,
    ])
  }
  const lines: string[] = []
  const inputs = INPUTS.map(([name, ...args]): Call => [name, ...args.map((arg) => (arg === A ? RICH : arg))])
  for (const call of [...inputs, ...CORNERS, ...FLOWS, ...ENDS, ...PLANS, ...SIGNUPS])
    lines.push(await answer(client, call))
  for (const query of FINAL) {
    const { rows } = await client.query(query)
    lines.push(`${query}: ${settled(JSON.stringify(rows))}`)
  }
  return lines
}

const FINAL = [
  `select plan_credits, add_on_credits, debt, reserved, open_reservations, version, status, plan_id, next_plan_id, plan_period, user_id is null as closed from public.credit_balances order by account_id, version`,
  `select account_id, version, type, source, amount, balance_after, uncollected, late, estimated, reason, feature, model, lots from public.credit_transactions order by account_id, version`,
  `select state, held, captured, uncollected, requested, minimum, late from public.credit_reservations order by id`,
  `select bucket, source, priority, amount, remaining, isfinite(expires_at) as ends from public.credit_lots order by account_id, sequence`,
  `select action, subject, old, new, reason, actor_role from public.credit_audit_log order by id`,
  `select operation, scope, target, old_margin_percent, new_margin_percent, reason, actor_id, actor_role from public.margin_audit_log order by id`,
  `select role, display_name from public.profiles order by user_id`,
  `select account_id, plan_id from credits_private.account_plans order by account_id, since`,
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
    return `${label}: ${settled(String(rows[0]?.result))}`
  } catch (error) {
    const { code, message, detail } = error as { code?: string; message?: string; detail?: string }
    return `${label}: ${code} ${message} ${detail ?? ''}`
  }
}
