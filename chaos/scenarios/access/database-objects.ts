import type pg from 'pg'

/** A relation or function of ours, as the system catalogue describes it. */
export interface DatabaseObject {
  /** `public.credit_balances`, or `public.credits_reserve(uuid, ...)`. */
  name: string
  kind: 'table' | 'view' | 'sequence' | 'function'
  schema: string
  bare: string
  /** Number of arguments of a function. */
  arguments: number
}

/** Everything in our schemas, read from the system catalogue, so that none is missing. */
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

/** The kinds of callers. */
export const ACTOR_NAMES = [
  'no token',
  'anon',
  'user A',
  'user B',
  'anonymous sign-in',
  'user who claims to be admin',
  'admin',
  'service_role',
  'authenticator',
] as const

export type ActorName = (typeof ACTOR_NAMES)[number]

/** What an actor may see of a relation through its policies: nothing, rows of its own, or everything. */
export type Visibility = 'denied' | 'none' | 'own' | 'all'

const USERS: readonly ActorName[] = ['user A', 'user B', 'anonymous sign-in', 'user who claims to be admin']

const isUser = (actor: ActorName): boolean => USERS.includes(actor)

/** Relations that a signed-in user reads, and how much of them. Everything else is closed to users. */
const READABLE: Readonly<Record<string, Visibility>> = {
  profiles: 'own',
  credit_session: 'own',
  credit_balances: 'own',
  credit_balances_text: 'own',
  credit_lots: 'own',
  credit_lots_text: 'own',
  credit_reservations: 'own',
  credit_transactions: 'own',
  credit_transactions_text: 'own',
  credit_plans: 'all',
  credit_admins: 'none',
  credit_settings: 'none',
  credit_charges: 'none',
  credit_transaction_costs: 'none',
  credit_rates: 'none',
  credit_model_aliases: 'none',
  margin_config: 'none',
  margin_audit_log: 'none',
  credit_audit_log: 'none',
}

/** Whether a relation is in the table above: a new one without a row fails the scenario. */
export function isExpected({ bare, schema, kind }: DatabaseObject): boolean {
  return schema === 'credits_private' || kind === 'sequence' || bare in READABLE
}

/** What an actor must see of a relation. */
export function expectedVisibility(actor: ActorName, { bare, schema, kind }: DatabaseObject): Visibility {
  if (schema === 'credits_private' || kind === 'sequence' || actor === 'authenticator') return 'denied'
  // The one row of the session is about its reader, and profiles are a table of the app with admins of its own.
  if (actor === 'admin' && ['credit_session', 'profiles'].includes(bare)) return 'own'
  if (actor === 'service_role' || actor === 'admin') return 'all'
  if (isUser(actor)) return READABLE[bare] ?? 'denied'
  return bare === 'credit_plans' ? 'all' : 'denied'
}

/** Functions of the app, in its own migrations. */
const APP_FUNCTIONS: readonly string[] = ['is_admin', 'touch_profile', 'handle_new_user']

/** Whether an actor may execute a function. */
export function mayExecute(actor: ActorName, { bare, schema }: DatabaseObject): boolean {
  if (schema === 'credits_private') return false
  if (bare === 'is_admin') return actor === 'service_role' || actor === 'admin' || isUser(actor)
  return actor === 'service_role' && !APP_FUNCTIONS.includes(bare)
}

/** The one write that an API role has: the display columns of its own profile, a table of the app. */
export function mayUpdateColumns(actor: ActorName, { bare }: DatabaseObject): boolean {
  return bare === 'profiles' && (actor === 'admin' || isUser(actor))
}
