import { recomputeCharge } from '../../packages/credits/src/core/pricing/charge.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { attempt, millionths } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { runConcurrently } from '../workload/run-concurrently.ts'

const WIDTH = 8

/** C6: prices that change between reserve and settle. */
export const C6: Scenario = {
  id: 'C6',
  claim:
    'A change of rate or margin between reserve and settle does not touch the frozen price, and every charge can ' +
    'be recomputed from its own record.',
  faults: ['price change'],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(WIDTH)
    const pool = database.pool(WIDTH)
    const setRate = (model: string, input: number): Promise<unknown> => {
      const rate = {
        modelId: model,
        type: 'language',
        pricing: { input: (input / 1e6).toFixed(6), output: '0.000002' },
        known: true,
        source: 'chaos',
      }
      return pool.query('select public.credits_set_rates($1)', [JSON.stringify([rate])])
    }
    // Every case reads all rates in force several times. Those of other models only cost time.
    await database.admin.query(
      `begin; set local session_replication_role = replica; delete from public.credit_rates; commit`,
    )
    const usage = { inputTokens: 1000, outputTokens: 10 }
    const change = async (random: Random, userId: string, model: string, input: number): Promise<void> => {
      const instance = createCredits({ store, pricingTtlSeconds: 0 })
      const before = await instance.price({ model, userId, usage })
      const { reservationId } = await instance.reserve({ userId, model, amount: '10' })
      await setRate(model, input)
      await store.setMargin({ scope: 'model', target: model, marginPercent: String(random.between(-50, 500)) })
      const settled = await createCredits({ store }).settle({ userId, reservationId, usage })
      context.countRuns()
      context.countFault('price change')
      context.check(
        settled.transaction?.amount === `-${before.amount}`,
        `charged ${settled.transaction?.amount}, frozen was ${before.amount}`,
      )
    }
    const users = await database.users(WIDTH, '1000000')
    const each = Math.ceil(context.goal('price change') / WIDTH)
    await runConcurrently({ random: context.random, times: WIDTH, width: WIDTH }, async (random, index) => {
      // A model per piece of work, because the others change their prices meanwhile.
      const model = `chaos/model-${index}`
      await setRate(model, 1)
      for (let count = 1; count <= each; count += 1) await change(random, users[index] ?? '', model, 1 + count)
    })
    await recompute(context, database)
  },
}

async function recompute(context: ScenarioContext, database: TestDatabase): Promise<void> {
  const { rows } = await database.admin.query(
    'select amount + uncollected as amount, pricing, usage from public.credit_charges where pricing is not null',
  )
  context.check(rows.length > 0, 'no charge has its prices')
  for (const { amount, pricing, usage } of rows) {
    const { credits: again } = recomputeCharge({ usage, pricing })
    context.check(millionths(again) === millionths(amount), `recomputed ${again}, charged ${amount}`, {
      pricing,
      usage,
    })
  }
}

const INVALID_MARGINS: readonly string[] = [
  ...['-101', '-100', '1e9', 'NaN', 'Infinity', '-Infinity', '10000.0001', '60.00001'],
  ...['60 %', '', 'ten', '1e400', 'null', '１', '--1', '1,5'],
]

/** A margin that is too low, too high, too fine or no number. */
function invalidMargin({ between, pick }: Random): string {
  const fraction = String(between(1, 9999)).padStart(4, '0')
  return pick([
    () => `-${between(100, 1_000_000_000)}`,
    () => `${between(10_000, 1_000_000_000)}.${fraction}`,
    () => `${between(-99, 9999)}.${fraction}${between(1, 9)}`,
    () => `${between(1, 9)}e${between(5, 300)}`,
    () => `${between(0, 99)}${pick(['%', 'x', ' 1', '..', '-'])}`,
    () => pick(INVALID_MARGINS),
  ])()
}

/** C7: margins out of bounds. */
export const C7: Scenario = {
  id: 'C7',
  claim:
    'Invalid margins are refused by the function and by the table, and every change is audited with its actor, ' +
    'its old and its new value.',
  faults: ['invalid margin'],
  broken: [
    {
      name: 'margins have no bounds',
      sql: `create or replace function credits_private.check_margin(
          p_scope text, p_target text, p_margin_percent numeric, p_effective_from timestamptz)
        returns void language sql stable set search_path = '' as $$ select $$`,
    },
    { name: 'the expected version of a margin is not compared', guards: ['expected-version'] },
  ],
  run: async (context) => {
    const database = await context.openDatabase()
    const pool = database.pool(1)
    for (let count = 0; count < context.goal('invalid margin', INVALID_MARGINS.length); count += 1) {
      const margin = INVALID_MARGINS[count] ?? invalidMargin(context.random)
      const call = await attempt(() => pool.query(`select public.credits_set_margin('model', 'm', $1)`, [margin]))
      context.check(
        !call.ok && /^PT422|^22/.test(call.code),
        `credits_set_margin takes ${margin}`,
        call.ok ? undefined : call.code,
      )
      const row = await attempt(() =>
        database.admin.query(
          `insert into public.margin_config (scope, target, margin_percent, version) values ('model', $2, $1, 1)`,
          [margin, `${count}`],
        ),
      )
      // The column rounds to four places, which is allowed.
      const tooFine = /^-?\d{1,4}\.\d{5}$/.test(margin)
      context.check(!row.ok || tooFine, `the table takes ${margin}`)
      context.countRuns(2)
      context.countFault('invalid margin')
    }
    const actor = context.random.uuid()
    await pool.query(`select public.credits_set_margin('model', 'audited', 5, 0, null, $1, 'first')`, [actor])
    await pool.query(`select public.credits_set_margin('model', 'audited', 6, 1, null, $1, 'second')`, [actor])
    const late = `select public.credits_set_margin('model', 'audited', 7, 1)`
    const conflict = await attempt(() => pool.query(late))
    context.check(!conflict.ok && conflict.code === 'PT409', 'an old version of a margin is accepted', conflict)
    const { rows } = await database.admin.query(
      `select operation, old_margin_percent::text as old, new_margin_percent::text as new, actor_id, reason
        from public.margin_audit_log where target = 'audited' order by id`,
    )
    const expected = [
      { operation: 'insert', old: null, new: '5.0000', actor_id: actor, reason: 'first' },
      { operation: 'update', old: '5.0000', new: '6.0000', actor_id: actor, reason: 'second' },
    ]
    context.check(JSON.stringify(rows) === JSON.stringify(expected), 'the audit is not what happened', rows)
  },
}
