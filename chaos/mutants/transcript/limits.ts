import { A, type Call, charge, EDGES, FULL, grant, id, long, RICH, reserve, SMALL, sql, TTL_EDGES } from './call.ts'

/** Limits of accounts, reservations and pages. */
export const LIMITS: readonly Call[] = [
  grant('corner credits', '50'),
  reserve('corner', '5'),
  reserve('corner taken', '1'),
  ...EDGES.map((amount): Call => ['credits_extend', A, id('corner'), id(`extend ${amount}`), amount]),
  ...EDGES.map((amount): Call => ['credits_extend', A, id('corner'), id(`extend minimum ${amount}`), '0.1', amount]),
  ...TTL_EDGES.map((ttl): Call => ['credits_extend', A, id('corner'), id(`extend ttl ${ttl}`), '0.1', null, ttl]),
  ...TTL_EDGES.map(
    (ttl): Call => ['credits_capture', A, id('corner'), id(`capture ttl ${ttl}`), charge('0.1'), '0.1', null, ttl],
  ),
  ['credits_capture', A, id('corner'), id('capture minimum'), charge('0.1'), '0.1', '0.2'],
  // The id of a reservation is reserved for its settle.
  ['credits_capture', A, id('corner'), id('corner taken'), charge('0.1')],
  ['credits_adjust', A, id('corner taken'), '1', 'why'],
  ['credits_grant', A, id('corner taken'), '1', 'promo', 'plan'],
  ['credits_refund', A, id('corner taken'), id('corner'), 'why'],
  ['credits_settle', A, id('corner'), charge('5')],
  ...['', long(1000), long(1001)].flatMap((text): Call[] => [
    ['credits_adjust', A, id(`adjust reason ${text.length}`), '1', text],
    ['credits_refund', A, id(`refund reason ${text.length}`), id('corner'), text, '0.1'],
    ['credits_set_margin', 'model', 'm/r', '5', null, null, null, text],
    ['credits_freeze_account', A, false, null, text],
  ]),
  ['credits_refund', A, id('most of corner'), id('corner'), 'why', '4.8'],
  ['credits_refund', A, id('rest of corner'), id('corner'), 'why', '0.1'],
  ['credits_refund', A, id('after the rest'), id('corner'), 'why'],
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
    (_, n): Call => ['credits_grant', FULL, id(`million ${n}`), '999999999999.9', 'promo', 'add-on'],
  ),
  ['credits_grant', FULL, id('up to the limit of a balance'), '999999999950.9', 'promo', 'add-on'],
  ['credits_grant', FULL, id('over the limit of a balance'), '0.000001', 'promo', 'add-on'],
  // A charge of all that a lot has.
  ['credits_reserve', FULL, id('all of it'), '1000000', '1000000'],
  ['credits_settle', FULL, id('all of it'), charge('1000000')],
  // A transaction of another account has the id of the settle.
  ['credits_grant', RICH, id('stolen'), '1', 'promo', 'add-on'],
  ['credits_reserve', A, id('stolen'), '1'],
  ['credits_settle', A, id('stolen'), charge('0.5')],
  // Reservations that the database does not know, and those of another account.
  ['credits_settle', A, null, charge('0.5'), true],
  ['credits_settle', A, id('made late'), charge('0.5'), true],
  reserve('not theirs', '1'),
  ['credits_settle', RICH, id('not theirs'), charge('0.5'), true],
  ['credits_settle', RICH, id('not theirs'), null, true],
  ['credits_settle', A, id('not theirs'), charge('0.5'), true],
  // The largest charge there is, and a millionth more.
  reserve('largest', '1'),
  ['credits_settle', A, id('largest'), charge('1000000000000.000001')],
  ['credits_settle', A, id('largest'), charge('1000000000000')],
  ['credits_get_history', A, 3],
  ['credits_get_history', RICH, 1],
  ['credits_get_charges', null, null, 0],
  ['credits_get_charges', null, null, 5001],
  ['credits_get_charges', null, null, 2],
  ['credits_get_charges', null, null, 2, '{"createdAt": "x"}'],
  ['credits_get_rate_history', 'm/1', 0],
  ['credits_get_rate_history', 'm/1', 1001],
  // Pages that end exactly with the last row, and that begin after the given row.
  ...['credits_get_charges(null, null,', `credits_get_history('${FULL}',`, 'credits_get_margin_audit('].flatMap(
    (start, index): Call[] => {
      const rows = [
        `public.credit_charges`,
        `public.credit_transactions where account_id = '${FULL}'`,
        'public.margin_audit_log',
      ][index]
      return [
        sql(
          `select from (select public.${start} (select count(*)::int from ${rows}))::text as x) y
            where x like '%null}'`,
        ),
      ]
    },
  ),
  sql(
    `select from jsonb_array_elements(public.credits_get_margin_audit(10, (select max(id)
      from public.margin_audit_log)) -> 'data')`,
  ),
  sql(
    `select from (select public.credits_verify_accounts((select min(account_id::text)::uuid
      from public.credit_balances), 1) ->> 'next' as x) y where x <> (select min(account_id::text)
      from public.credit_balances)`,
  ),
  sql(
    `select where (public.credits_get_margin_audit(1) ->> 'nextBefore')::bigint = (select max(id)
      from public.margin_audit_log)`,
  ),
  ['credits_verify_accounts', A, 100],
  // How much an extension prolongs a reservation, which no answer shows.
  grant('after the largest', '40'),
  reserve('short', '1', null, 10),
  ['credits_extend', A, id('short'), id('longer'), '1', null, 600],
  sql(
    `select from public.credit_reservations where id = '${id('short')}'
      and expires_at > created_at + interval '500 seconds'`,
  ),
  // An extension up to exactly what may be reserved at once.
  sql(
    `update public.credit_settings set max_reserved_credits = (select reserved + 3 from public.credit_balances
      where account_id = '${A}')`,
  ),
  ['credits_extend', A, id('short'), id('up to the limit'), '5', '2'],
  ['credits_extend', A, id('short'), id('beyond the limit'), '5', '0.000001'],
  sql('update public.credit_settings set max_reserved_credits = 1000000'),
  // As many, and as much, as may be reserved at once; then one more.
  sql('update public.credit_settings set max_open_reservations = 2, max_reserved_credits = 5'),
  ...['4', '1', '0.000001'].flatMap((amount): Call[] => [['credits_reserve', SMALL, id(`small ${amount}`), amount]]),
  ['credits_release', SMALL, id('small 4')],
  ['credits_reserve', SMALL, id('small again'), '4.000001'],
  ['credits_reserve', SMALL, id('small again'), '4'],
  ['credits_reserve', SMALL, id('small once more'), '0.000001'],
  sql('update public.credit_settings set max_open_reservations = 100, max_reserved_credits = 1000000'),
]
