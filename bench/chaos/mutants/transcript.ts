import { createHash } from 'node:crypto'
import type pg from 'pg'
import { chargeOf } from '../harness/operations.ts'

/** The same name gives the same id in every run. */
const id = (name: string): string => {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

type Call = readonly [name: string, ...args: unknown[]]

const A = id('account a')
/** For the edges of the input, which would make any account rich beyond every refusal. */
const RICH = id('account rich')
/** For the edges of a balance. */
const FULL = id('account full')
const charge = (amount: string, more: object = {}): string => JSON.stringify(chargeOf(amount, more))
const long = (length: number): string => 'x'.repeat(length)

/** Amounts at every edge of what is allowed. */
const EDGES = [
  '0',
  '-1',
  '0.000001',
  '0.0000001',
  '1.0000001',
  'NaN',
  'Infinity',
  '-Infinity',
  '1000000000000',
  '1000000000000.000001',
]
const TTL_EDGES = [-1, 0, 1, 86_400, 86_401]

const reserve = (
  name: string,
  amount: string | null,
  minimum: string | null = null,
  ttl: number | null = 300,
  ...more: unknown[]
): Call => ['credits_reserve', id(name), A, amount, minimum, ttl, ...more]
const grant = (name: string, amount: string | null, bucket: string | null = 'add-on', ...more: unknown[]): Call => [
  'credits_grant',
  id(name),
  A,
  amount,
  'promo',
  bucket,
  ...more,
]

const sql = (text: string): Call => ['sql', text]
const past = (table: string, column: string, where: string): Call =>
  sql(`update public.${table} set ${column} = clock_timestamp() - interval '1 second' where ${where}`)
const due = sql(
  `update public.credit_balances set next_due_at = clock_timestamp() - interval '1 second', swept_until = '-infinity' where account_id = '${A}'`,
)

const INPUTS: readonly Call[] = [
  ...EDGES.map((amount) => reserve(`edge ${amount}`, amount)),
  ...EDGES.map((amount) => reserve(`minimum ${amount}`, '10', amount)),
  ...TTL_EDGES.map((ttl) => reserve(`ttl ${ttl}`, '0.5', null, ttl)),
  reserve('null amount', null),
  ['credits_reserve', null, A, '1'],
  ['credits_reserve', id('no user'), null, '1'],
  ['credits_reserve', id('unknown user'), id('nobody'), '1'],
  ...['', long(255), long(256)].flatMap((text) => [
    reserve(`feature ${text.length}`, '0.1', null, 300, text),
    reserve(`model ${text.length}`, '0.1', null, 300, 'f', text),
  ]),
  ...[4084, 4085].map((size) =>
    reserve(`metadata ${size}`, '0.1', null, 300, 'f', 'm', null, null, JSON.stringify({ x: long(size) })),
  ),
  reserve('metadata array', '0.1', null, 300, 'f', 'm', null, null, '[]'),
  ...EDGES.map((amount) => grant(`grant ${amount}`, amount)),
  ...[-1, 0, 1000, 1001].map((priority) => grant(`priority ${priority}`, '1', 'add-on', priority)),
  ...[0, 1, 3_153_600_000, 3_153_600_001].map((seconds) => grant(`life ${seconds}`, '1', 'add-on', 100, seconds)),
  ...['', long(1000), long(1001)].map((text) => grant(`reason ${text.length}`, '1', 'add-on', 100, null, text)),
  grant('no bucket', '1', null),
  grant('bad bucket', '1', 'other'),
  ['credits_grant', id('bad source'), A, '1', 'other', 'plan'],
  ['credits_grant', id('no source'), A, '1', null, 'plan'],
  ['credits_grant', null, A, '1', 'promo', 'plan'],
  ['credits_grant', id('granted nobody'), id('nobody'), '1', 'promo', 'plan'],
  ...EDGES.flatMap((amount): Call[] => [
    ['credits_adjust', id(`adjust ${amount}`), A, amount, 'why'],
    ['credits_refund', id(`refund ${amount}`), id('nothing'), 'why', amount],
  ]),
  ['credits_adjust', id('no reason'), A, '1', null],
  ['credits_refund', id('no reason'), id('nothing'), null],
  ...[null, 0, 1, 200, 201].flatMap((limit): Call[] => [
    ['credits_get_history', A, limit],
    ['credits_get_margin_audit', limit],
  ]),
  ['credits_get_history', A, 10, 3],
  ['credits_get_history', A, 10, null, 'grant'],
  ['credits_get_history', A, 10, null, 'other'],
  ['credits_get_history', id('nobody'), 10],
  ['credits_get_balance', id('nobody')],
  ['credits_get_reservation', id('nothing')],
]

/** What mutants showed to be missing. */
const CORNERS: readonly Call[] = [
  grant('corner', '50'),
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
  ['credits_refund', id('rest of corner'), id('corner'), 'why', '4.8'],
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
    { length: 10 },
    (_, n): Call => ['credits_grant', id(`million ${n}`), FULL, '999999999999.9', 'promo', 'add-on'],
  ),
  ['credits_grant', id('to the brim'), FULL, '1', 'promo', 'add-on'],
  ['credits_grant', id('over the brim'), FULL, '0.000001', 'promo', 'add-on'],
  // The last charge of all a current lot has, and one more.
  ['credits_reserve', id('all of it'), FULL, '1000000', '1000000'],
  ['credits_settle', id('all of it'), charge('1000000')],
  // A settle whose id another account's transaction has.
  ['credits_grant', id('stolen'), RICH, '1', 'promo', 'add-on'],
  ['credits_reserve', id('stolen'), A, '1'],
  ['credits_settle', id('stolen'), charge('0.5')],
  ['credits_get_history', A, 3],
  ['credits_get_history', RICH, 1],
  ['credits_get_charges', null, null, 0],
  ['credits_get_charges', null, null, 5001],
  ['credits_get_charges', null, null, 2],
  ['credits_get_charges', null, null, 2, '{"createdAt": "x"}'],
  ['credits_get_rate_history', 'm/1', 0],
  ['credits_get_rate_history', 'm/1', 1001],
]

const FLOWS: readonly Call[] = [
  grant('start', '10'),
  grant('start', '10'),
  grant('start', '11'),
  grant('plan lot', '5', 'plan', 50),
  grant('plan first', '5', 'plan', 10),
  reserve('all', '1000'),
  reserve('r1', '4'),
  reserve('r1', '4'),
  reserve('r1', '5'),
  reserve('r1', '4', '1'),
  reserve('r1', '4', null, 300, 'f'),
  ['credits_capture', id('r1'), id('c1'), charge('1')],
  ['credits_capture', id('r1'), id('c1'), charge('1')],
  ['credits_capture', id('r1'), id('c1'), charge('2')],
  ['credits_capture', id('r1'), id('r1'), charge('1')],
  ['credits_capture', id('r1'), null, charge('1')],
  ['credits_capture', id('r1'), id('start'), charge('1')],
  ['credits_capture', id('r1'), id('c2'), charge('1'), '2', '1', 600],
  ['credits_capture', id('r1'), id('c3'), charge('0'), '0'],
  ['credits_extend', id('r1'), id('e1'), '1'],
  ['credits_extend', id('r1'), id('e1'), '1'],
  ['credits_extend', id('r1'), id('e1'), '2'],
  ['credits_extend', id('r1'), id('e2'), '100000000'],
  ['credits_extend', id('r1'), id('e3'), '100000000', '0.5'],
  ['credits_extend', id('r1'), null, '1'],
  ['credits_extend', id('nothing'), id('e4'), '1'],
  ['credits_get_balance', A],
  ['credits_settle', id('r1'), charge('3')],
  ['credits_settle', id('r1'), charge('3')],
  ['credits_settle', id('r1'), charge('4')],
  ['credits_release', id('r1')],
  ['credits_extend', id('r1'), id('e5'), '1'],
  ['credits_capture', id('r1'), id('c4'), charge('1')],
  reserve('r2', '2'),
  ['credits_release', id('r2')],
  ['credits_release', id('r2')],
  ['credits_settle', id('r2'), charge('1')],
  reserve('r3', '2'),
  ['credits_settle', id('r3'), null],
  reserve('r4', '2'),
  ['credits_settle', id('r4'), charge('0')],
  ['credits_settle', id('nothing'), charge('1')],
  ['credits_release', id('nothing')],
  ['credits_get_reservation', id('r1')],
  ...['-1', '1.0000001', 'NaN', '1e3', '', '0.000001', '999999999999.999999'].flatMap((amount, index): Call[] => [
    reserve(`odd ${index}`, '0.000002'),
    ['credits_settle', id(`odd ${index}`), charge(amount)],
  ]),
  grant('after the largest charge', '5'),
  ...(
    [
      { costUsd: '-1' },
      { costUsd: '1e5' },
      ...['costUsd', 'computedCostUsd', 'reportedCostUsd'].flatMap((field) =>
        ['100000000000', '100000000000.1', '1.000000000001', '1.0000000000001'].map((value) => ({ [field]: value })),
      ),
      { marginPercent: '10000' },
      { marginPercent: '1.0001' },
      { marginPercent: '1.00001' },
      { marginPercent: '-100' },
      { marginPercent: '10000.0001' },
      { costSource: 'gift' },
      { rateId: 'x' },
      { inputTokens: -1 },
      { inputTokens: 999999999999999 },
      { inputTokens: 1000000000000000 },
      { outputTokens: 999999999999999 },
      { outputTokens: 1000000000000000 },
      { usage: [] },
      { pricing: 'x' },
      { provider: 3 },
      { metadata: [] },
      { generationId: '' },
      { feature: long(256) },
      { costSource: 'estimate' },
    ] as object[]
  ).flatMap((more, index): Call[] => [
    reserve(`field ${index}`, '0.000002'),
    ['credits_settle', id(`field ${index}`), charge('0.000001', more)],
  ]),
  ['credits_settle', id('field 0'), '[]'],
  ['credits_settle', id('field 0'), '{}'],
  ['credits_get_balance', A],
  ['credits_get_history', A, 5],
]

const ENDS: readonly Call[] = [
  grant('fresh', '20'),
  reserve('late', '3'),
  past('credit_reservations', 'expires_at', `id = '${id('late')}'`),
  due,
  ['credits_get_balance', A],
  ['credits_capture', id('late'), id('late capture'), charge('1')],
  ['credits_extend', id('late'), id('late extend'), '1'],
  ['credits_settle', id('late'), charge('2')],
  ['credits_settle', id('late'), charge('2')],
  reserve('swept', '3'),
  past('credit_reservations', 'expires_at', `id = '${id('swept')}'`),
  due,
  ['credits_expire_due', 0],
  ['credits_expire_due', 10],
  ['credits_expire_due', 10],
  grant('dying', '7', 'plan', 1, 1000),
  reserve('cover', '4'),
  sql(
    `update public.credit_lots set expires_at = clock_timestamp() - interval '1 second' where transaction_id = '${id('dying')}'`,
  ),
  due,
  ['credits_get_balance', A],
  ['credits_settle', id('cover'), charge('2')],
  ['credits_get_balance', A],
  ['credits_refund', id('dead refund'), id('cover'), 'why', '1'],
  reserve('paid', '6'),
  ['credits_settle', id('paid'), charge('6')],
  ['credits_refund', id('rf1'), id('paid'), 'why', '2'],
  ['credits_refund', id('rf1'), id('paid'), 'why', '2'],
  ['credits_refund', id('rf1'), id('paid'), 'why', '3'],
  ['credits_refund', id('rf2'), id('paid'), 'why', '4.000001'],
  ['credits_refund', id('rf2'), id('paid'), 'why'],
  ['credits_refund', id('rf3'), id('paid'), 'why'],
  ['credits_refund', id('rf4'), id('start'), 'why'],
  ['credits_refund', id('paid'), id('paid'), 'why'],
  ['credits_adjust', id('a1'), A, '5', 'why'],
  ['credits_adjust', id('a1'), A, '5', 'why'],
  ['credits_adjust', id('a1'), A, '6', 'why'],
  ['credits_adjust', id('a2'), A, '-5', 'why'],
  ['credits_adjust', id('a3'), A, '-100000000000', 'why'],
  ['credits_adjust', id('paid'), A, '1', 'why'],
  ['credits_freeze_account', A, true, null, 'why'],
  reserve('frozen', '1'),
  ['credits_freeze_account', A, true],
  ['credits_freeze_account', A, null],
  ['credits_freeze_account', A, false],
  reserve('before', '1'),
  ['credits_freeze_spending', true],
  reserve('spending', '1'),
  ['credits_extend', id('before'), id('e9'), '1'],
  ['credits_capture', id('before'), id('c9'), charge('0.5'), '1'],
  ['credits_settle', id('before'), charge('0.5')],
  ['credits_freeze_spending', null],
  ['credits_freeze_spending', false],
  sql('update public.credit_settings set max_open_reservations = 3'),
  reserve('o1', '1'),
  reserve('o2', '1'),
  reserve('o3', '1'),
  reserve('o4', '1'),
  reserve('o5', '1', '0.5'),
  ['credits_release', id('o1')],
  ['credits_release', id('o2')],
  ['credits_release', id('o3')],
  sql('update public.credit_settings set max_open_reservations = 100, max_reserved_credits = 4'),
  reserve('m1', '4'),
  reserve('m2', '0.000001'),
  ['credits_extend', id('m1'), id('e10'), '0.1'],
  ['credits_release', id('m1')],
  sql('update public.credit_settings set max_reserved_credits = 1000000'),
  sql(`update public.credit_balances set overage_limit = 8 where account_id = '${A}'`),
  ['credits_adjust', id('drain'), A, '-0.000001', 'why'],
  reserve('over', '1000000', '0.000001'),
  ['credits_settle', id('over'), charge('1000000')],
  ['credits_refund', id('debt refund'), id('over'), 'why', '3'],
  ['credits_refund', id('past debt refund'), id('over'), 'why', '7'],
  ['credits_get_balance', A],
  grant('repay', '3'),
  grant('repay all', '30'),
  ['credits_get_balance', A],
]

const PLANS: readonly Call[] = [
  sql(`update public.credit_plans set rollover_limit = 40, overage_limit = 2 where id = 'starter'`),
  ['credits_set_plan', A, 'starter', null, 'why'],
  ['credits_set_plan', A, 'nothing'],
  ['credits_set_plan', A, 'starter'],
  ['credits_set_plan', A, 'free'],
  ['credits_set_plan', A, 'starter'],
  ['credits_set_plan', A, 'free'],
  sql(
    `update public.credit_balances set plan_anchor_at = plan_anchor_at - interval '2 months' - interval '1 day', plan_period_ends_at = plan_period_ends_at - interval '2 months' - interval '1 day', next_due_at = clock_timestamp() - interval '1 second' where account_id = '${A}'`,
  ),
  sql(
    `update public.credit_lots set expires_at = expires_at - interval '2 months' - interval '1 day' where account_id = '${A}' and bucket = 'plan' and isfinite(expires_at)`,
  ),
  ['credits_get_balance', A],
  ['credits_set_plan', A, 'pro'],
  ['credits_get_balance', A],
  ['credits_set_role', A, 'admin', null],
  ['credits_set_role', A, 'king', null],
  ['credits_set_role', id('nobody'), 'user', null],
  ['credits_set_role', A, 'user', null],
  ...['-100', '-99.9999', '10000', '10000.0001', '1.00001', 'NaN', null].map(
    (percent): Call => ['credits_set_margin', 'model', 'm/x', percent],
  ),
  ['credits_set_margin', 'default', '', null],
  ['credits_set_margin', 'default', 'x', '5'],
  ['credits_set_margin', 'model', '', '5'],
  ['credits_set_margin', 'other', 'x', '5'],
  ['credits_set_margin', 'model', long(256), '5'],
  ['credits_set_margin', 'model', 'm/y', '5', 1],
  ['credits_set_margin', 'model', 'm/y', '5', 0],
  ['credits_set_margin', 'model', 'm/y', '6', 0],
  ['credits_set_margin', 'model', 'm/y', '6', 1, null, A, 'why'],
  ['credits_set_margin', 'model', 'm/z', '6', null, '2020-01-01'],
  ['credits_set_margin', 'model', 'm/z', '6', null, 'infinity'],
  ['credits_set_margin', 'model', 'm/z', '6', null, '2100-01-01'],
  ['credits_set_rates', '{}'],
  [
    'credits_set_rates',
    '[{"modelId": "m/1", "type": "language", "pricing": {"input": "1"}, "source": "s"}]',
    '{"old": "m/1"}',
  ],
  ['credits_set_rates', '[{"modelId": "m/1", "type": "language", "pricing": {"input": "1"}, "source": "s"}]'],
  [
    'credits_set_rates',
    '[{"modelId": "m/1", "type": "language", "pricing": {"input": "2"}, "source": "s", "effectiveFrom": "2020-01-01"}]',
  ],
  ['credits_set_rates', '[{"modelId": "m/2", "type": "language", "known": true, "source": "s"}]'],
  ['credits_set_rates', '[{"type": "language", "source": "s"}]'],
  ['credits_set_rates', '[{"modelId": "m/3", "type": "language", "pricing": {}, "source": "s", "contextWindow": -1}]'],
]

const person = (name: string, email: string | null, more = 'false, now()'): Call =>
  sql(
    `insert into auth.users (id, email, is_anonymous, email_confirmed_at) values ('${id(name)}', ${email ? `'${email}'` : 'null'}, ${more})`,
  )

const SIGNUPS: readonly Call[] = [
  sql('update public.credit_settings set signup_credits = 50'),
  person('p1', 'ann.lee@gmail.com'),
  person('p2', 'AnnLee+x@googlemail.com'),
  person('p3', 'ann.lee@other.com'),
  person('p4', 'annlee@other.com'),
  person('p5', null, 'true, null'),
  sql(
    `update auth.users set email = 'late@x.com', is_anonymous = false, email_confirmed_at = now() where id = '${id('p5')}'`,
  ),
  sql('update public.credit_settings set signup_needs_confirmation = true'),
  person('p6', 'six@x.com', 'false, null'),
  sql(`update auth.users set email_confirmed_at = now() where id = '${id('p6')}'`),
  sql(`delete from auth.users where id = '${id('p1')}'`),
  ['credits_get_balance', id('p1')],
  ['credits_reserve', id('closed'), id('p1'), '1'],
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

// Times, and what is made by chance, differ from run to run.
const VOLATILE =
  /"(createdAt|expiresAt|closedAt|periodEndsAt|effectiveFrom|created_at|asOf|id|marginId|lotId|hash|actual|expected)" ?: ?"[^"]*"/g

const settled = (text: string): string => text.replaceAll(VOLATILE, '"$1": …')

/** Everything that can be said to the functions, at every edge, and what came of it: two schemas that differ answer differently. */
export async function transcript(client: pg.Client): Promise<string[]> {
  for (const account of [A, RICH, FULL]) {
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
  `select account_id, version, type, source, amount, balance_after, uncollected, late, estimated, reason, feature, model from public.credit_transactions order by account_id, version`,
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
