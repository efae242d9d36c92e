import { A, type Call, charge, EDGES, FULL, grant, id, long, RICH, reserve, SMALL, sql, TTL_EDGES } from './call.ts'

/** What mutants showed to be missing. */
export const CORNERS: readonly Call[] = [
  grant('corner credits', '50'),
  reserve('corner', '5'),
  reserve('corner taken', '1'),
  ...EDGES.map((amount): Call => ['credits_extend', id('corner'), id(`extend ${amount}`), amount]),
  ...EDGES.map((amount): Call => ['credits_extend', id('corner'), id(`extend minimum ${amount}`), '0.1', amount]),
  ...TTL_EDGES.map((ttl): Call => ['credits_extend', id('corner'), id(`extend ttl ${ttl}`), '0.1', null, ttl]),
  ...TTL_EDGES.map(
    (ttl): Call => ['credits_capture', id('corner'), id(`capture ttl ${ttl}`), charge('0.1'), '0.1', null, ttl],
  ),
  ['credits_capture', id('corner'), id('capture minimum'), charge('0.1'), '0.1', '0.2'],
  // The id of a reservation is kept for its settle.
  ['credits_capture', id('corner'), id('corner taken'), charge('0.1')],
  ['credits_adjust', id('corner taken'), A, '1', 'why'],
  ['credits_grant', id('corner taken'), A, '1', 'promo', 'plan'],
  ['credits_refund', id('corner taken'), id('corner'), 'why'],
  ['credits_settle', id('corner'), charge('5')],
  ...['', long(1000), long(1001)].flatMap((text): Call[] => [
    ['credits_adjust', id(`adjust reason ${text.length}`), A, '1', text],
    ['credits_refund', id(`refund reason ${text.length}`), id('corner'), text, '0.1'],
    ['credits_set_margin', 'model', 'm/r', '5', null, null, null, text],
    ['credits_freeze_account', A, false, null, text],
  ]),
  ['credits_refund', id('most of corner'), id('corner'), 'why', '4.8'],
  ['credits_refund', id('rest of corner'), id('corner'), 'why', '0.1'],
  ['credits_refund', id('after the rest'), id('corner'), 'why'],
  grant('odd metadata', '1', 'add-on', 100, null, null, null, '[]'),
  grant(
    'great metadata',
    '1',
    'add-on',
    100,
    null,
    null,
    null,
    JSON.stringify({ x: Array.from({ length: 3000 }, (_, n) => n) }),
  ),
  // As much as an account may have, and one millionth more.
  ...Array.from(
    { length: 9 },
    (_, n): Call => ['credits_grant', id(`million ${n}`), FULL, '999999999999.9', 'promo', 'add-on'],
  ),
  ['credits_grant', id('to the brim'), FULL, '999999999950.9', 'promo', 'add-on'],
  ['credits_grant', id('over the brim'), FULL, '0.000001', 'promo', 'add-on'],
  // The last charge of all a current lot has, and one more.
  ['credits_reserve', id('all of it'), FULL, '1000000', '1000000'],
  ['credits_settle', id('all of it'), charge('1000000')],
  // A settle whose id another account's transaction has.
  ['credits_grant', id('stolen'), RICH, '1', 'promo', 'add-on'],
  ['credits_reserve', id('stolen'), A, '1'],
  ['credits_settle', id('stolen'), charge('0.5')],
  // The same by the general path, which has more to charge than the account can pay.
  ['credits_settle', id('stolen'), charge('1000000')],
  // Late bookings, and somebody who names another's reservation.
  ['credits_settle', null, charge('0.5'), A],
  ['credits_settle', id('booked late'), charge('0.5'), A],
  reserve('not theirs', '1'),
  ['credits_settle', id('not theirs'), charge('0.5'), RICH],
  ['credits_settle', id('not theirs'), null, RICH],
  ['credits_settle', id('not theirs'), charge('0.5'), A],
  // The largest charge there is, and a millionth more.
  reserve('largest', '1'),
  ['credits_settle', id('largest'), charge('1000000000000.000001')],
  ['credits_settle', id('largest'), charge('1000000000000')],
  ['credits_get_history', A, 3],
  ['credits_get_history', RICH, 1],
  ['credits_get_charges', null, null, 0],
  ['credits_get_charges', null, null, 5001],
  ['credits_get_charges', null, null, 2],
  ['credits_get_charges', null, null, 2, '{"createdAt": "x"}'],
  ['credits_get_rate_history', 'm/1', 0],
  ['credits_get_rate_history', 'm/1', 1001],
  // Pages that end exactly with the last row, and that begin with the row they were told.
  ...['credits_get_charges(null, null,', `credits_get_history('${FULL}',`, 'credits_get_margin_audit('].flatMap(
    (start, index): Call[] => {
      const rows = [
        `public.credit_charges`,
        `public.credit_transactions where account_id = '${FULL}'`,
        'public.margin_audit_log',
      ][index]
      return [
        sql(
          `select from (select public.${start} (select count(*)::int from ${rows}))::text as x) y where x like '%null}'`,
        ),
      ]
    },
  ),
  sql(
    "select from jsonb_array_elements(public.credits_get_margin_audit(10, (select max(id) from public.margin_audit_log)) -> 'data')",
  ),
  sql(
    "select from (select public.credits_verify_accounts((select min(account_id::text)::uuid from public.credit_balances), 1) ->> 'next' as x) y where x <> (select min(account_id::text) from public.credit_balances)",
  ),
  sql(
    "select where (public.credits_get_margin_audit(1) ->> 'nextBefore')::bigint = (select max(id) from public.margin_audit_log)",
  ),
  ['credits_verify_accounts', A, 100],
  // How much longer an extension makes a reservation live, which no answer shows.
  grant('after the largest', '40'),
  reserve('short', '1', null, 10),
  ['credits_extend', id('short'), id('longer'), '1', null, 600],
  sql(
    `select from public.credit_reservations where id = '${id('short')}' and expires_at > created_at + interval '500 seconds'`,
  ),
  // An extension up to exactly what may be held at once.
  sql(
    `update public.credit_settings set max_reserved_credits = (select reserved + 3 from public.credit_balances where account_id = '${A}')`,
  ),
  ['credits_extend', id('short'), id('up to the limit'), '5', '2'],
  ['credits_extend', id('short'), id('beyond the limit'), '5', '0.000001'],
  sql('update public.credit_settings set max_reserved_credits = 1000000'),
  // As many, and as much, as may be held at once, by both paths; then one more.
  sql('update public.credit_settings set max_open_reservations = 2, max_reserved_credits = 5'),
  ...['4', '1', '0.000001'].flatMap((amount): Call[] => [
    sql(`update public.credit_balances set next_due_at = clock_timestamp() where account_id = '${SMALL}'`),
    ['credits_reserve', id(`small ${amount}`), SMALL, amount],
  ]),
  ['credits_release', id('small 4')],
  ['credits_reserve', id('small again'), SMALL, '4.000001'],
  ['credits_reserve', id('small again'), SMALL, '4'],
  ['credits_reserve', id('small once more'), SMALL, '0.000001'],
  sql('update public.credit_settings set max_open_reservations = 100, max_reserved_credits = 1000000'),
]
