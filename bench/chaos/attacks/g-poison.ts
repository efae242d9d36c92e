import fc from 'fast-check'
import { createCredits } from '../../../packages/credits/src/credits.ts'
import type { Credits } from '../../../packages/credits/src/credits-types.ts'
import type { Arena, Attack } from '../harness/attack.ts'
import type { Field } from '../harness/field.ts'
import { ask } from '../harness/operations.ts'
import { rest } from '../harness/rest.ts'

/** Values that break parsers, comparisons, encodings and filters. */
const POISON: readonly unknown[] = [
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

const poison = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...POISON) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
)

/** A code of ours, or the one answer of PostgREST to a call that matches no function. */
const REFUSALS =
  /^(INVALID_INPUT|ACCOUNT_NOT_FOUND|RESERVATION_NOT_FOUND|TRANSACTION_NOT_FOUND|IDEMPOTENCY_MISMATCH|INSUFFICIENT_CREDITS|RESERVATION_CLOSED|VERSION_CONFLICT|UNKNOWN_MODEL|LIMIT_EXCEEDED|REFUND_EXCEEDS_ORIGINAL|NOT_FOUND)$/

type Door = (arena: Arena, field: Field, victim: string, value: unknown, other: unknown) => Promise<void>

const METHODS: readonly (keyof Credits)[] = [
  'reserve',
  'extend',
  'capture',
  'settle',
  'release',
  'getReservation',
  'grant',
  'refund',
  'adjust',
  'getBalance',
  'getHistory',
  'setMargin',
  'removeMargin',
  'price',
  'estimate',
]

function sdkDoor(credits: Credits): Door {
  return async (arena, _field, victim, value, other) => {
    const method = arena.random.pick(METHODS)
    const honest = {
      userId: victim,
      reservationId: arena.random.uuid(),
      transactionId: arena.random.uuid(),
      amount: '1',
      reason: 'x',
      source: 'promo',
      idempotencyKey: 'key',
      model: 'openai/gpt-4o-mini',
      usage: { inputTokens: 1 },
      scope: 'model',
      target: 'm',
      marginPercent: '5',
    }
    const key = arena.random.pick([
      ...Object.keys(honest),
      'minimumAmount',
      'ttlSeconds',
      'metadata',
      'feature',
      'limit',
      'cursor',
    ])
    const input = { ...honest, [key]: value, ...(arena.random.chance(0.2) ? { metadata: other } : {}) }
    const answer = await ask(() => (credits[method] as (input: unknown) => Promise<unknown>)(input))
    arena.check(answer.ok || REFUSALS.test(answer.code), `${method} with ${key}: ${answer.ok ? '' : answer.code}`, {
      value,
      error: answer.ok ? undefined : answer.error,
    })
  }
}

interface Signature {
  name: string
  parameters: string[]
}

async function signatures(field: Field): Promise<Signature[]> {
  const { rows } = await field.admin.query<Signature>(
    `select p.proname as name, p.proargnames as parameters from pg_proc p
     where p.pronamespace = 'public'::regnamespace and p.proname like 'credits\\_%' and p.pronargs > 0
       and p.proname not in ('credits_freeze_spending', 'credits_expire_due', 'credits_reconcile')`,
  )
  return rows
}

function honestArgument(name: string, victim: string, arena: Arena): unknown {
  if (name === 'p_user_id') return victim
  if (/_id$/.test(name)) return arena.random.uuid()
  return {
    p_amount: '1',
    p_limit: 10,
    p_source: 'promo',
    p_bucket: 'add-on',
    p_reason: 'x',
    p_scope: 'model',
    p_target: 'm',
    p_margin_percent: '5',
    p_role: 'user',
    p_plan_id: 'free',
    p_frozen: false,
    p_rates: [],
    p_charge: { amount: '1' },
  }[name]
}

function httpDoor(list: readonly Signature[]): Door {
  return async (arena, field, victim, value, other) => {
    const { name, parameters } = arena.random.pick(list)
    const poisoned = arena.random.pick(parameters)
    const args = Object.fromEntries(parameters.map((each) => [each, honestArgument(each, victim, arena)]))
    args[poisoned] = value
    if (parameters.includes('p_metadata') && arena.random.chance(0.3)) args.p_metadata = other
    const { status, body } = await rest(field, `rpc/${name}`, {
      token: arena.stack.serviceRoleKey,
      method: 'POST',
      // Numbers of JSON that no number of JavaScript holds: sent as they are written.
      body: JSON.stringify(args).replace(/"(1e-?[0-9]+|9007199254740993.000001)"/, '$1'),
    })
    arena.check(status < 500, `rpc/${name} with ${poisoned}: ${status}`, { value, body: body.slice(0, 300) })
  }
}

function sqlDoor(list: readonly Signature[]): Door {
  return async (arena, field, victim, value, other) => {
    const { name, parameters } = arena.random.pick(list)
    const poisoned = arena.random.pick(parameters)
    const args = parameters.map((each) => {
      const argument = each === poisoned ? value : honestArgument(each, victim, arena)
      return argument === undefined || argument === null
        ? null
        : typeof argument === 'object'
          ? JSON.stringify(argument)
          : argument
    })
    const named = parameters.map((each, index) => `${each} => $${index + 1}`).join(', ')
    const answer = await ask(() => field.admin.query(`select public.${name}(${named})`, args))
    // Class 22 is Postgres's own "that is no number, no UUID, no JSON", before any code of ours runs.
    const refused = answer.ok || /^(PT4\d\d|22...)$/.test(answer.code)
    arena.check(refused, `${name} with ${poisoned}: ${answer.ok ? '' : answer.code}`, {
      value,
      other: typeof other,
      error: answer.ok ? undefined : String(answer.error),
    })
  }
}

/** G: input poison at three doors. */
export const G: Attack = {
  id: 'G',
  claim:
    'Poisoned input at the library, PostgREST and SQL is refused with a code: no server error, no effect that breaks the books',
  faults: ['SDK', 'PostgREST', 'SQL'],
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const list = await signatures(field)
    const credits = createCredits({ store: field.store(4), retries: 0 })
    await knock(arena, field, 'SDK', sdkDoor(credits), arena.count(2500, 1_000_000))
    await knock(arena, field, 'PostgREST', httpDoor(list), arena.count(2500, 200_000))
    await knock(arena, field, 'SQL', sqlDoor(list), arena.count(4000, 1_000_000))
  },
}

async function knock(arena: Arena, field: Field, name: string, door: Door, times: number): Promise<void> {
  const victim = await field.user('1000')
  const values = fc.sample(fc.tuple(poison, poison), { numRuns: times, seed: arena.random.integer() })
  for (const [value, other] of values) {
    await door(arena, field, victim, value, other)
    arena.ran()
    arena.reached(name)
  }
}
