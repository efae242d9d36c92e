import fc from 'fast-check'
import type { Credits } from '../../packages/credits/src/credits/types.ts'

/** Values that break parsers, comparisons, encodings and filters. */
const MALFORMED: readonly unknown[] = [
  ...[Number.NaN, Infinity, -Infinity, -0, -1, 2 ** 53 + 1, 1.5],
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '-0',
    '-1',
    '1e5',
    '1e309',
    '1e-400',
    '0x10',
    '１',
    ' 5',
    '5 ',
    '',
    '+1',
    '1,5',
    '.5',
    '5.',
    '00',
    '1_000',
    '9007199254740993.000001',
    '99999999999999999999',
    '0.0000001',
  ],
  ...[null, undefined, [], {}, [1], { amount: '1' }, true, new Date(0)],
  ...['\u0000', '\ud800', '\u202e', 'é', 'e\u0301', 'x'.repeat(256), 'x'.repeat(100_000)],
  ...[
    "'; drop table credit_balances; --",
    "' or 1=1 --",
    '$1',
    '\u0024{x}',
    'eq.5',
    'in.(1,2)',
    ')',
    '*',
    '__proto__',
    'constructor',
    'toString',
    '../..',
    '%00',
  ],
]

/** One of them, or any string. */
export const malformedValue = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...MALFORMED) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
)

/** Codes with which a malformed input may be refused. */
const CODES = [
  ...['INVALID_INPUT', 'ACCOUNT_NOT_FOUND', 'RESERVATION_NOT_FOUND', 'TRANSACTION_NOT_FOUND', 'NOT_FOUND'],
  ...['IDEMPOTENCY_MISMATCH', 'INSUFFICIENT_CREDITS', 'RESERVATION_CLOSED', 'VERSION_CONFLICT', 'UNKNOWN_MODEL'],
  ...['LIMIT_EXCEEDED', 'REFUND_EXCEEDS_ORIGINAL', 'USAGE_MISSING'],
]

export const REFUSALS = new RegExp(`^(${CODES.join('|')})$`)

/** The calls of the library that take input. */
export const METHODS: readonly (keyof Credits)[] = [
  'reserve',
  'extend',
  'capture',
  'settle',
  'release',
  'getReservation',
  'grant',
  'refund',
  'reverse',
  'adjust',
  'getBalance',
  'getHistory',
  'setMargin',
  'removeMargin',
  'price',
  'estimate',
]
