import type pg from 'pg'

/** A relation or function of ours, as the catalogue has it. */
export interface DatabaseObject {
  /** `public.credit_balances`, or `public.credits_reserve(uuid, ...)`. */
  name: string
  kind: 'table' | 'view' | 'sequence' | 'function'
  schema: string
  bare: string
  /** Number of arguments of a function. */
  arguments: number
}

/** Everything in our schemas, found from the catalogue: nothing can be forgotten. */
export async function ourObjects(admin: pg.Pool): Promise<DatabaseObject[]> {
  const { rows } = await admin.query<DatabaseObject>(`
    select c.oid::regclass::text as name, n.nspname as schema, c.relname as bare, 0 as arguments,
      case c.relkind when 'r' then 'table' when 'S' then 'sequence' else 'view' end as kind
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'credits_private') and c.relkind in ('r', 'v', 'm', 'S', 'p')
    union all
    select p.oid::regprocedure::text, n.nspname, p.proname, p.pronargs, 'function'
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('public', 'credits_private')
    order by 1`)
  return rows
}

/** Who tries. */
export const ACTORS = [
  'no token',
  'anon',
  'user A',
  'user B',
  'anonymous sign-in',
  'user who says admin',
  'admin',
  'service_role',
  'authenticator',
] as const

export type Actor = (typeof ACTORS)[number]

/** What each may see of a relation through its policies: nothing, rows of its own, or everything. */
export type Sight = 'denied' | 'none' | 'own' | 'all'

const MEMBERS: readonly Actor[] = ['user A', 'user B', 'anonymous sign-in', 'user who says admin']

/** Relations that a signed-in user reads, and how much of them. Everything else is closed to users. */
const READABLE: Readonly<Record<string, Sight>> = {
  profiles: 'own',
  credit_balances: 'own',
  credit_balances_text: 'own',
  credit_lots: 'own',
  credit_lots_text: 'own',
  credit_reservations: 'own',
  credit_transactions: 'own',
  credit_transactions_text: 'own',
  credit_plans: 'all',
  credit_settings: 'none',
  credit_charges: 'none',
  credit_transaction_costs: 'none',
  credit_rates: 'none',
  credit_model_aliases: 'none',
  margin_config: 'none',
  margin_audit_log: 'none',
  credit_audit_log: 'none',
}

/** Whether a relation is in the table above: a new one without a row fails the attack. */
export function isExpected({ bare, schema, kind }: DatabaseObject): boolean {
  return schema === 'credits_private' || kind === 'sequence' || bare in READABLE
}

/** What an actor must see of a relation. */
export function expectedSight(actor: Actor, { bare, schema, kind }: DatabaseObject): Sight {
  if (schema === 'credits_private' || kind === 'sequence' || actor === 'authenticator') return 'denied'
  if (actor === 'service_role' || actor === 'admin') return 'all'
  if (MEMBERS.includes(actor)) return READABLE[bare] ?? 'denied'
  return bare === 'credit_plans' ? 'all' : 'denied'
}

/** Whether an actor may execute a function. */
export function mayExecute(actor: Actor, { bare, schema }: DatabaseObject): boolean {
  if (schema === 'credits_private') return bare === 'is_admin' && (actor === 'admin' || MEMBERS.includes(actor))
  return actor === 'service_role' && bare.startsWith('credits_')
}

/** The one write that an API role has: its own display columns. */
export function mayUpdateColumns(actor: Actor, { bare }: DatabaseObject): boolean {
  return bare === 'profiles' && (actor === 'admin' || MEMBERS.includes(actor))
}
