import type { Scenario } from '../../runner/scenario.ts'

const SHADOWS: readonly string[] = [
  'create temp table credit_balances (account_id uuid, plan_credits numeric)',
  'create temp table credit_settings (spending_frozen boolean)',
  ...['now', 'clock_timestamp'].map(
    (name) =>
      `create function pg_temp.${name}() returns timestamptz language sql as $$select timestamptz '2000-01-01'$$`,
  ),
  'create function pg_temp.coalesce_numeric(numeric) returns numeric language sql as $$select 0$$',
  'create function pg_temp.sha256(bytea) returns bytea language sql as $$select $t$\\x$t$::bytea$$',
  'create function pg_temp.least(numeric, numeric) returns numeric language sql as $$select 0$$',
  'create function pg_temp.never(numeric, numeric) returns boolean language sql as $$select false$$',
  'create operator pg_temp.>= (leftarg = numeric, rightarg = numeric, function = pg_temp.never)',
  'create domain pg_temp.uuid as text',
  ...[
    ...['credit_transactions', 'credit_reservations', 'credit_lots', 'credit_plans', 'credit_rates', 'margin_config'],
    ...['credit_transaction_costs', 'margin_audit_log', 'credit_audit_log', 'credit_admins', 'users', 'secrets'],
  ].map((name) => `create temp table ${name} (account_id uuid)`),
  ...['available', 'raise_error', 'check_amount', 'lock_account', 'reservation_json'].map(
    (name) => `create function pg_temp.${name}(numeric) returns numeric language sql as $$select 1e12$$`,
  ),
  ...['greatest', 'coalesce_text', 'trim_scale', 'abs', 'round'].map(
    (name) => `create function pg_temp.${name}(numeric) returns numeric language sql as $$select 1e12$$`,
  ),
  'set search_path = pg_temp, public',
]

/** E5: objects of the caller with the names of ours. */
export const E5: Scenario = {
  id: 'E5',
  claim: 'Temporary tables, functions and operators with the names of ours change nothing for our functions.',
  faults: ['shadow'],
  broken: [
    {
      name: 'a definer function finds its tables by the search_path of the caller',
      sql: `do $copy$ begin
          execute regexp_replace(
            pg_get_functiondef('public.credits_reserve'::regproc), 'public\\.(credit_)', '\\1', 'g');
          alter function public.credits_reserve reset search_path;
        end $copy$`,
    },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const userId = await database.user('5')
    const client = await database.pool(1).connect()
    try {
      for (const shadow of SHADOWS) {
        const made = await client.query(shadow).then(
          () => true,
          () => false,
        )
        if (made) context.countFault('shadow')
        context.countRuns()
      }
      const call = (): Promise<unknown> =>
        client.query('select public.credits_reserve($1, $2, 3)', [userId, context.random.uuid()])
      const first = await call().then(
        () => 'ok',
        (error: Error) => error.message,
      )
      const second = await call().then(
        () => 'ok',
        (error: Error) => error.message,
      )
      context.check(first === 'ok' && second === 'INSUFFICIENT_CREDITS', `shadowed: ${first}, then ${second}`)
      for (const statement of [
        'create table public.credit_shadow (id int)',
        'create function public.least(numeric) returns numeric language sql as $$select 0$$',
      ]) {
        const made = await client.query(statement).then(
          () => true,
          () => false,
        )
        context.check(!made, `service_role may create in public: ${statement}`)
        context.countRuns()
      }
    } finally {
      client.release(true)
    }
  },
}
