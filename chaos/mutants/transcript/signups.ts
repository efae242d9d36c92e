import { A, type Call, charge, id, monthsAgo, sql } from './call.ts'

const person = (name: string, email: string | null, more = 'false, now()'): Call =>
  sql(
    `insert into auth.users (id, email, is_anonymous, email_confirmed_at)
      values ('${id(name)}', ${email ? `'${email}'` : 'null'}, ${more})`,
  )

/** Signups, and what operators read and repair. */
export const SIGNUPS: readonly Call[] = [
  sql('update public.credit_settings set signup_credits = 50'),
  person('p1', 'ann.lee@gmail.com'),
  person('p2', 'AnnLee+x@googlemail.com'),
  person('p3', 'ann.lee@other.com'),
  person('p4', 'annlee@other.com'),
  person('p5', null, 'true, null'),
  sql(
    `update auth.users set email = 'late@x.com', is_anonymous = false, email_confirmed_at = now()
      where id = '${id('p5')}'`,
  ),
  sql('update public.credit_settings set signup_credits = 0'),
  person('p9', 'nine@x.com'),
  ['credits_get_history', id('p9'), 5],
  // An account in debt, for what is read at the end.
  sql(`update public.credit_balances set overage_limit = 8 where account_id = '${id('p9')}'`),
  ['credits_reserve', id('p9'), id('in debt'), '5'],
  ['credits_settle', id('p9'), id('in debt'), charge('5')],
  sql('update public.credit_settings set signup_credits = 50'),
  person('p6', 'six@x.com', 'false, null'),
  sql(`update auth.users set email_confirmed_at = now() where id = '${id('p6')}'`),
  sql(`delete from auth.users where id = '${id('p1')}'`),
  ['credits_get_balance', id('p1')],
  ['credits_reserve', id('p1'), id('closed'), '1'],
  ...monthsAgo(id('p1'), 3),
  person('p7', 'annlee@gmail.com'),
  person('p1', 'ann.lee@gmail.com'),
  sql(`set session_replication_role = replica`),
  person('p8', 'eight@x.com'),
  sql('set session_replication_role = origin'),
  ['credits_reconcile', false, 100],
  ['credits_reconcile', true, 100],
  ['credits_reconcile', true, 100],
  ['credits_verify_accounts', null, 100],
  ['credits_verify_accounts', null, 1],
  ['credits_verify_transactions', null, null, 5000],
  ['credits_verify_transactions', A, 3, 4],
  ['credits_schema_version'],
  ['credits_get_margin_audit', 100],
]
