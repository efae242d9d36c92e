import { A, type Call, id, long, monthsAgo, SMALL, sql } from './call.ts'

/** Plans, periods, admins, margins and rates. */
export const PLANS: readonly Call[] = [
  sql(`update public.credit_plans set rollover_limit = 40, overage_limit = 2 where id = 'starter'`),
  ['credits_set_plan', A, 'starter', null, 'why'],
  ['credits_set_plan', A, 'nothing'],
  ['credits_set_plan', A, 'starter'],
  ['credits_set_plan', A, 'free'],
  ['credits_set_plan', A, 'starter'],
  ['credits_set_plan', A, 'free'],
  ...monthsAgo(A, 2),
  ['credits_get_balance', A],
  ['credits_set_plan', A, 'pro'],
  ['credits_get_balance', A],
  // A plan of the same size is no upgrade and no downgrade.
  sql(`insert into public.credit_plans (id, name, price_usd, monthly_credits) values ('twin', 'Twin', 100, 3000)`),
  ['credits_set_plan', A, 'twin'],
  ['credits_get_history', A, 3],
  // Within a paid period, the difference for the rest of it: nearly all, because it has just begun.
  sql(
    `insert into public.credit_plans (id, name, price_usd, monthly_credits, rollover_limit)
      values ('more', 'More', 20, 500.00001, 40)`,
  ),
  ['credits_set_plan', SMALL, 'starter'],
  ['credits_set_plan', SMALL, 'more'],
  // Less is unused than may roll over.
  ['credits_set_plan', SMALL, 'starter'],
  ['credits_get_balance', SMALL],
  ['credits_adjust', SMALL, id('leaves little'), '-540', 'why'],
  ...monthsAgo(SMALL, 1),
  ['credits_get_balance', SMALL],
  ['credits_get_history', SMALL, 5],
  ['credits_set_admin', A, true, null, 'why'],
  ['credits_set_admin', A, true],
  ['credits_set_admin', A, null],
  ['credits_set_admin', id('stranger'), true],
  ['credits_set_admin', A, false],
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
  ['credits_set_rates', '[]', '[]'],
  ['credits_set_rates', '[]', JSON.stringify({ old: long(1_048_577) })],
  ['credits_set_rates', JSON.stringify([{ modelId: 'm/1', type: 'language', pricing: {}, source: long(2001) }])],
  ['credits_set_rates', '[{"modelId": "m/1", "type": "language", "pricing": [], "source": "s"}]'],
  [
    'credits_set_rates',
    JSON.stringify([{ modelId: 'm/1', type: 'language', pricing: { input: long(65_536) }, source: 's' }]),
  ],
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
  // A price that comes before one that was announced.
  ...['2100-01-01', '2099-01-01'].map(
    (from): Call => [
      'credits_set_rates',
      JSON.stringify([
        { modelId: 'm/1', type: 'language', pricing: { input: from.slice(0, 4) }, source: 's', effectiveFrom: from },
      ]),
    ],
  ),
  ['credits_set_rates', '[{"modelId": "m/2", "type": "language", "known": true, "source": "s"}]'],
  ['credits_set_rates', '[{"type": "language", "source": "s"}]'],
  ['credits_set_rates', '[{"modelId": "m/3", "type": "language", "pricing": {}, "source": "s", "contextWindow": -1}]'],
]
