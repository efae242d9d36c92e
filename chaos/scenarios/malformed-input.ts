import fc from 'fast-check'
import type { Credits } from '../../packages/credits/src/credits/types.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import { rest } from '../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { attempt } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { runConcurrently } from '../workload/run-concurrently.ts'
import { PROCESS_ENTRIES, sendInProcess } from './malformed-in-process.ts'
import { METHODS, malformedValue, REFUSALS } from './malformed-values.ts'

const WIDTH = 12

/** Sends one malformed input. Its random source is its own, because many are sent at once. */
type Entry = (context: ScenarioContext, input: Input) => Promise<void>

interface Input {
  database: TestDatabase
  userId: string
  value: unknown
  other: unknown
  random: Random
}

function libraryEntry(credits: Credits): Entry {
  return async (context, { userId, value, other, random }) => {
    const method = random.pick(METHODS)
    const valid = {
      userId,
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
    const optional = ['minimumAmount', 'ttlSeconds', 'metadata', 'feature', 'limit', 'cursor']
    const key = random.pick([...Object.keys(valid), ...optional])
    const input = { ...valid, [key]: value, ...(random.chance(0.2) ? { metadata: other } : {}) }
    const answer = await attempt(() => (credits[method] as (input: unknown) => Promise<unknown>)(input))
    if (answer.ok) return
    context.check(REFUSALS.test(answer.code), `${method} with ${key}: ${answer.code}`, { value, error: answer.error })
  }
}

interface Signature {
  name: string
  parameters: string[]
}

async function signatures(database: TestDatabase): Promise<Signature[]> {
  const { rows } = await database.admin.query<Signature>(
    `select p.proname as name, p.proargnames as parameters from pg_proc p
     where p.pronamespace = 'public'::regnamespace and p.proname like 'credits\\_%' and p.pronargs > 0
       and p.proname not in ('credits_freeze_spending', 'credits_expire_due', 'credits_reconcile')`,
  )
  return rows
}

const VALID_ARGUMENTS: Readonly<Record<string, unknown>> = {
  p_amount: '1',
  p_limit: 10,
  p_source: 'promo',
  p_bucket: 'add-on',
  p_reason: 'x',
  p_scope: 'model',
  p_target: 'm',
  p_margin_percent: '5',
  p_is_admin: false,
  p_plan_id: 'free',
  p_frozen: false,
  p_rates: [],
  p_heads: [],
  p_charge: { amount: '1' },
}

function validArgument(name: string, userId: string, random: Random): unknown {
  if (name === 'p_account_id' || name === 'p_user_id') return userId
  return /_id$/.test(name) && name !== 'p_plan_id' ? random.uuid() : VALID_ARGUMENTS[name]
}

function httpEntry(list: readonly Signature[]): Entry {
  return async (context, { database, userId, value, other, random }) => {
    const { name, parameters } = random.pick(list)
    const malformed = random.pick(parameters)
    const args = Object.fromEntries(parameters.map((each) => [each, validArgument(each, userId, random)]))
    args[malformed] = value
    if (parameters.includes('p_metadata') && random.chance(0.3)) args.p_metadata = other
    const { status, body } = await rest(database, `rpc/${name}`, {
      token: context.stack.serviceRoleKey,
      method: 'POST',
      // Some JSON numbers fit no JavaScript number, so they are sent as they are written.
      body: JSON.stringify(args).replace(/"(1e-?[0-9]+|9007199254740993.000001)"/, '$1'),
    })
    context.check(status < 500, `rpc/${name} with ${malformed}: ${status}`, { value, body: body.slice(0, 300) })
  }
}

function sqlEntry(list: readonly Signature[]): Entry {
  return async (context, { database, userId, value, random }) => {
    const { name, parameters } = random.pick(list)
    const malformed = random.pick(parameters)
    const args = parameters.map((each) => {
      const argument = each === malformed ? value : validArgument(each, userId, random)
      return typeof argument === 'object' && argument !== null ? JSON.stringify(argument) : (argument ?? null)
    })
    const named = parameters.map((each, index) => `${each} => $${index + 1}`).join(', ')
    const answer = await attempt(() => database.admin.query(`select public.${name}(${named})`, args))
    // In class 22, Postgres itself refuses a malformed number, UUID or JSON before any code of ours runs.
    const refused = answer.ok || /^(PT4\d\d|22...)$/.test(answer.code)
    const detail = answer.ok ? undefined : { value, error: String(answer.error) }
    context.check(refused, `${name} with ${malformed}: ${answer.ok ? '' : answer.code}`, detail)
  }
}

/** G: malformed input at every entry. */
export const G: Scenario = {
  id: 'G',
  long: true,
  claim:
    'Malformed input to the library, the route handlers, PostgREST and SQL is refused with a documented code, ' +
    'never with a server error, and leaves the ledger as it was.',
  faults: ['library', 'PostgREST', 'SQL', ...Object.keys(PROCESS_ENTRIES)],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const list = await signatures(database)
    const credits = createCredits({ store: database.store(WIDTH) })
    const many = context.byTier(4000, 1_000_000)
    await send(context, database, { name: 'library', entry: libraryEntry(credits), times: many })
    await send(context, database, { name: 'PostgREST', entry: httpEntry(list), times: context.goal('PostgREST') })
    await send(context, database, { name: 'SQL', entry: sqlEntry(list), times: many })
    await sendInProcess(context, context.goal('pricing'))
  },
}

async function send(
  context: ScenarioContext,
  database: TestDatabase,
  { name, entry, times }: { name: string; entry: Entry; times: number },
): Promise<void> {
  const userId = await database.user('1000')
  const pairs = fc.tuple(malformedValue, malformedValue)
  const values = fc.sample(pairs, { numRuns: times, seed: context.random.integer() })
  await runConcurrently({ random: context.random, times, width: WIDTH }, async (random, index) => {
    const [value, other] = values[index] ?? []
    await entry(context, { database, userId, value, other, random })
    context.countRuns()
    context.countFault(name)
  })
}
