import fc from 'fast-check'
import type { Credits } from '../../packages/credits/src/credits/types.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import { rest } from '../runner/rest.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import { sideBySide } from '../runner/side-by-side.ts'
import type { Field } from '../runner/test-database.ts'
import { ask } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { knockInProcess, PROCESS_DOORS } from './malformed-in-process.ts'
import { METHODS, poison, REFUSALS } from './malformed-values.ts'

const WIDTH = 12

/** Knocks once. Its chance is its own: many knock at once. */
type Door = (arena: Arena, knock: Knock) => Promise<void>

interface Knock {
  field: Field
  victim: string
  value: unknown
  other: unknown
  random: Random
}

function sdkDoor(credits: Credits): Door {
  return async (arena, { victim, value, other, random }) => {
    const method = random.pick(METHODS)
    const honest = {
      userId: victim,
      reservationId: random.uuid(),
      transactionId: random.uuid(),
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
    const key = random.pick([
      ...Object.keys(honest),
      'minimumAmount',
      'ttlSeconds',
      'metadata',
      'feature',
      'limit',
      'cursor',
    ])
    const input = { ...honest, [key]: value, ...(random.chance(0.2) ? { metadata: other } : {}) }
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

function honestArgument(name: string, victim: string, random: Random): unknown {
  if (name === 'p_user_id') return victim
  if (/_id$/.test(name)) return random.uuid()
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
  return async (arena, { field, victim, value, other, random }) => {
    const { name, parameters } = random.pick(list)
    const poisoned = random.pick(parameters)
    const args = Object.fromEntries(parameters.map((each) => [each, honestArgument(each, victim, random)]))
    args[poisoned] = value
    if (parameters.includes('p_metadata') && random.chance(0.3)) args.p_metadata = other
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
  return async (arena, { field, victim, value, other, random }) => {
    const { name, parameters } = random.pick(list)
    const poisoned = random.pick(parameters)
    const args = parameters.map((each) => {
      const argument = each === poisoned ? value : honestArgument(each, victim, random)
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

/** G: input poison at every door. */
export const G: Attack = {
  id: 'G',
  long: true,
  claim:
    'Poisoned input at the library, the route handlers, PostgREST and SQL is refused with a code: no server error, no effect that breaks the books',
  faults: ['SDK', 'PostgREST', 'SQL', ...Object.keys(PROCESS_DOORS)],
  run: async (arena) => {
    const field = await arena.open({ api: true })
    const list = await signatures(field)
    const credits = createCredits({ store: field.store(WIDTH), retries: 0 })
    await knock(arena, field, 'SDK', sdkDoor(credits), arena.count(4000, 1_000_000))
    await knock(arena, field, 'PostgREST', httpDoor(list), arena.goal('PostgREST'))
    await knock(arena, field, 'SQL', sqlDoor(list), arena.count(4000, 1_000_000))
    await knockInProcess(arena, arena.goal('pricing'))
  },
}

async function knock(arena: Arena, field: Field, name: string, door: Door, times: number): Promise<void> {
  const victim = await field.user('1000')
  const values = fc.sample(fc.tuple(poison, poison), { numRuns: times, seed: arena.random.integer() })
  await sideBySide({ random: arena.random, times, width: WIDTH }, async (random, index) => {
    const [value, other] = values[index] ?? []
    await door(arena, { field, victim, value, other, random })
    arena.ran()
    arena.reached(name)
  })
}
