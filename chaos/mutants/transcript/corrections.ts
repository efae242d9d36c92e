import { A, type Call, charge, due, grant, id, long, past, reserve, SMALL, sql } from './call.ts'

const B = id('account b')
const reverse = (name: string, original: string, amount: string | null = null, reason = 'why'): Call => [
  'credits_reverse',
  B,
  id(name),
  id(original),
  reason,
  amount,
]
const buy = (name: string, amount: string, ...more: unknown[]): Call => [
  'credits_grant',
  B,
  id(name),
  amount,
  'purchase',
  'add-on',
  ...more,
]
const spend = (name: string, amount: string): Call[] => [
  ['credits_reserve', B, id(name), amount],
  ['credits_settle', B, id(name), charge(amount)],
]

/** Reversals of grants, corrections of estimates, erasure, and the heads of the hash chain. */
export const CORRECTIONS: readonly Call[] = [
  sql(`insert into auth.users (id, email, email_confirmed_at) values ('${B}', 'b@example.com', now())`),
  ['credits_adjust', B, id('starts with nothing'), '-50', 'why'],
  // The lot is found whole, in part and used up; other lots pay, then there is a debt.
  buy('whole', '10'),
  reverse('reverse part', 'whole', '4'),
  reverse('reverse part', 'whole', '4'),
  reverse('reverse part', 'whole', '5'),
  reverse('reverse part', 'whole', '4', 'other'),
  reverse('reverse too much', 'whole', '6.000001'),
  reverse('reverse rest', 'whole'),
  reverse('reverse after the rest', 'whole'),
  reverse('reverse nothing', 'no grant'),
  buy('first', '10', 1),
  ...spend('spent', '8'),
  buy('second', '5', 2),
  reverse('reverse first', 'first'),
  reverse('reverse usage', 'spent'),
  ['credits_refund', B, id('refund after reversal'), id('spent'), 'why', '3'],
  ['credits_refund', B, id('refund the rest'), id('spent'), 'why'],
  buy('paid to the debt', '1'),
  buy('paid to the debt', '1'),
  buy('paid to the debt', '1', 101),
  buy('clears the debt', '40'),
  // A refund between two reversals.
  buy('twice', '10', 1),
  ...spend('all of it twice', '10'),
  reverse('reverse once', 'twice', '5'),
  ['credits_refund', B, id('refund between'), id('all of it twice'), 'why'],
  reverse('reverse twice', 'twice'),
  // What has expired is neither taken nor owed.
  buy('expires', '9', 1, 1000),
  ...spend('before the expiry', '2'),
  past('credit_lots', 'expires_at', `transaction_id = '${id('expires')}'`),
  sql(
    `update public.credit_balances set next_due_at = clock_timestamp() - interval '1 second' where account_id = '${B}'`,
  ),
  ['credits_get_balance', B],
  reverse('reverse the expired', 'expires'),
  // A plan that allows no debt.
  sql(
    `insert into public.credit_plans (id, name, price_usd, monthly_credits, reversal_debt)
     values ('no-debt', 'No debt', 0, 0, false)`,
  ),
  sql(`update public.credit_balances set plan_id = 'no-debt' where account_id = '${B}'`),
  buy('no debt', '10', 1),
  ...spend('spent without debt', '10'),
  reverse('reverse without debt', 'no debt'),
  // Estimates: more, less and as much as it really cost, once.
  grant('for estimates', '40'),
  ...['more', 'less', 'same', 'refunded'].flatMap((name): Call[] => [
    reserve(`estimate ${name}`, '4', null, 300, 'f', 'm/1'),
    ['credits_settle', A, id(`estimate ${name}`), charge('3', { costSource: 'estimate' })],
  ]),
  ['credits_refund', A, id('refund of an estimate'), id('estimate refunded'), 'why', '1'],
  ...(
    [
      ['more', '5'],
      ['less', '1'],
      ['same', '3'],
      ['refunded', '1.5'],
    ] as const
  ).flatMap(([name, amount]): Call[] => [
    ['credits_correct', A, id(`correct ${name}`), id(`estimate ${name}`), charge(amount)],
    ['credits_correct', A, id(`correct ${name}`), id(`estimate ${name}`), charge(amount)],
    ['credits_correct', A, id(`correct ${name}`), id(`estimate ${name}`), charge('2')],
    ['credits_correct', A, id(`correct ${name} again`), id(`estimate ${name}`), charge(amount)],
  ]),
  ['credits_correct', A, id('correct no estimate'), id('r1'), charge('1')],
  ['credits_correct', A, id('correct nothing'), id('nothing'), charge('1')],
  ['credits_correct', A, id('correct without charge'), id('estimate more'), null],
  ['credits_get_estimates', 10],
  ['credits_get_estimates', 0],
  // A cost for a reservation that the database does not know, or that was released.
  ['credits_settle', SMALL, id('unknown here'), charge('0.25'), true],
  ['credits_settle', SMALL, id('unknown here'), charge('0.25'), true],
  ['credits_settle', SMALL, id('unknown here'), charge('0.5'), true],
  ['credits_settle', A, id('r2'), charge('0.25'), true],
  ['credits_settle', A, id('no charge and unknown'), null, true],
  ['credits_settle', id('stranger'), id('unknown account'), charge('1'), true],
  // A reservation of nothing.
  reserve('nothing at all', '0'),
  reserve('nothing with a minimum', '0', '0'),
  ['credits_settle', A, id('nothing at all'), charge('0')],
  // What expired without a settle.
  reserve('left behind', '1'),
  past('credit_reservations', 'expires_at', `id = '${id('left behind')}'`),
  due,
  ['credits_get_balance', A],
  ['credits_get_expired_reservations'],
  // Free text is removed; the chain stays.
  ['credits_adjust', SMALL, id('with a reason'), '1', 'a reason', id('actor')],
  ['credits_erase', SMALL],
  ['credits_erase', SMALL],
  ['credits_erase', id('stranger')],
  ['credits_verify_transactions', null, null, 5000],
  sql(
    `select from public.credits_verify_heads(public.credits_get_heads() -> 'data') as answer
     where answer -> 'faults' = '[]'`,
  ),
  sql(`select from (select public.credits_get_heads(null, 1) -> 'next' as next) x where next <> 'null'`),
  [
    'credits_verify_heads',
    JSON.stringify([
      { accountId: A, version: 1000000, hash: 'ab' },
      { accountId: A, version: 1, hash: 'ab' },
      { accountId: id('stranger'), version: 1, hash: 'ab' },
    ]),
  ],
  ['credits_verify_heads', '{}'],
  ['credits_get_heads', null, 0],
  ['credits_get_heads', null, 5001],
  ['credits_get_charges', null, null, 1, null, true],
  ['credits_adjust', A, id('long reason of a correction'), '1', long(1001)],
]
