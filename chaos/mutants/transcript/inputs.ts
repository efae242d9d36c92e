import { A, type Call, EDGES, grant, id, long, prolong, reserve, TTL_EDGES } from './call.ts'

/** The bounds of the arguments. */
export const INPUTS: readonly Call[] = [
  ...EDGES.map((amount) => reserve(`edge ${amount}`, amount)),
  ...EDGES.map((amount) => reserve(`minimum ${amount}`, '10', amount)),
  ...TTL_EDGES.map((ttl) => reserve(`ttl ${ttl}`, '0.5', null, ttl)),
  prolong('credit_reservations'),
  reserve('null amount', null),
  ['credits_reserve', A, null, '1'],
  ['credits_reserve', null, id('no user'), '1'],
  ['credits_reserve', id('stranger'), id('unknown user'), '1'],
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
  prolong('credit_lots'),
  ...['', long(1000), long(1001)].map((text) => grant(`reason ${text.length}`, '1', 'add-on', 100, null, text)),
  grant('no bucket', '1', null),
  grant('bad bucket', '1', 'other'),
  ['credits_grant', A, id('bad source'), '1', 'other', 'plan'],
  ['credits_grant', A, id('no source'), '1', null, 'plan'],
  ['credits_grant', A, null, '1', 'promo', 'plan'],
  ['credits_grant', id('stranger'), id('granted to a stranger'), '1', 'promo', 'plan'],
  ...EDGES.flatMap((amount): Call[] => [
    ['credits_adjust', A, id(`adjust ${amount}`), amount, 'why'],
    ['credits_refund', A, id(`refund ${amount}`), id('nothing'), 'why', amount],
    ['credits_reverse', A, id(`reverse ${amount}`), id('nothing'), 'why', amount],
  ]),
  ['credits_adjust', A, id('no reason'), '1', null],
  ['credits_refund', A, id('no reason'), id('nothing'), null],
  ...[null, 0, 1, 200, 201].flatMap((limit): Call[] => [
    ['credits_get_history', A, limit],
    ['credits_get_margin_audit', limit],
  ]),
  ['credits_get_history', A, 10, 3],
  ['credits_get_history', A, 10, null, 'grant'],
  ['credits_get_history', A, 10, null, 'other'],
  ['credits_get_history', id('stranger'), 10],
  ['credits_get_balance', id('stranger')],
  ['credits_get_reservation', A, id('nothing')],
]
