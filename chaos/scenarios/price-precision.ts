import { createClient } from '@supabase/supabase-js'
import { calculateCredits } from '../../packages/credits/src/core/pricing/calculate.ts'
import { estimateCharge } from '../../packages/credits/src/core/pricing/estimate.ts'
import { restStore } from '../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import { amountOf, millionths, sleep } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { runConcurrently } from '../workload/run-concurrently.ts'

/** A price per token with up to 12 places, as whole 10^-12 USD. */
interface Price {
  text: string
  value: bigint
}

function price(random: Random): Price {
  const value = BigInt(random.between(0, 99_999_999))
  return { value, text: `0.${value.toString().padStart(12, '0')}` }
}

/** Half up to millionths of a credit. A cent is a credit, and a cost above 0 is at least one millionth. */
function expected(picoUsd: bigint, marginHundredths: bigint): bigint {
  // pico-USD x (100 + margin in hundredths of a percent) -> credits x 10^6.
  const scaled = picoUsd * (10_000n + marginHundredths)
  const divisor = 10_000n * 10_000n
  const rounded = (scaled * 2n + divisor) / (divisor * 2n)
  return scaled > 0n && rounded === 0n ? 1n : rounded
}

/** D1, D4 and D5: the price of a call, against fractions. */
export const D1: Scenario = {
  id: 'D1',
  claim:
    'Every random charge equals the exact fraction rounded once. An estimate is never too low, and a call in two ' +
    'parts costs the same up to rounding.',
  faults: ['charge'],
  run: async (context) => {
    const { random } = context
    const runs = context.goal('charge')
    const estimateEvery = Math.floor(runs / context.goal('estimate'))
    for (let run = 0; run < runs; run += 1) {
      // A loop without a pause would delay all timers.
      if (run % 10_000 === 0) await sleep(0)
      const [input, output] = [price(random), price(random)]
      const margin = random.between(-9999, 50_000)
      const usage = { inputTokens: random.between(0, 100_000), outputTokens: random.between(0, 10_000) }
      const options = { rate: { input: input.text, output: output.text }, marginPercent: (margin / 100).toFixed(2) }
      const cost = BigInt(usage.inputTokens) * input.value + BigInt(usage.outputTokens) * output.value
      const exact = expected(cost, BigInt(margin))
      const { credits } = calculateCredits(usage, options)
      context.check(millionths(credits) === exact, `${credits} for ${amountOf(exact)}`, { options, usage })
      if (run % estimateEvery === 0) checkEstimateAndParts(context, { usage, options, exact })
    }
    context.countRuns(runs)
    context.countFault('charge', runs)
  },
}

interface PricedCall {
  usage: { inputTokens: number; outputTokens: number }
  options: { rate: { input: string; output: string }; marginPercent: string }
  exact: bigint
}

function checkEstimateAndParts(context: ScenarioContext, { usage, options, exact }: PricedCall): void {
  const { inputTokens, outputTokens } = usage
  const estimate = estimateCharge({ ...options, inputTokens, maxOutputTokens: outputTokens, cacheWrite: 'none' })
  context.countFault('estimate')
  const enough = millionths(estimate.credits) >= exact
  context.check(enough, `an estimate of ${estimate.credits} for ${amountOf(exact)}`, { options, usage })
  const half = { inputTokens: inputTokens >> 1, outputTokens: outputTokens >> 1 }
  const rest = { inputTokens: inputTokens - half.inputTokens, outputTokens: outputTokens - half.outputTokens }
  const parts = [half, rest].map((part) => millionths(calculateCredits(part, options).credits))
  const together = parts.reduce((total, part) => total + part, 0n)
  const close = together + 2n >= exact && together <= exact + 2n
  context.check(close, `in two parts ${together}, whole ${exact}`, { options, usage })
}

/** D2: many charges in the database, summed. */
export const D2: Scenario = {
  id: 'D2',
  long: true,
  claim: 'A hundred thousand charges with a commit each add up exactly, row by row and in the balance.',
  faults: ['charge'],
  run: async (context) => {
    const database = await context.openDatabase()
    const userId = await database.user('1000000')
    const charges = context.goal('charge')
    const client = await database.admin.connect()
    await client.query(`do $$
      declare
        v_id uuid;
      begin
        for i in 1 .. ${charges} loop
          v_id := gen_random_uuid();
          perform public.credits_reserve('${userId}', v_id, 2);
          perform public.credits_settle('${userId}', v_id, jsonb_build_object('amount',
            trim_scale(((i::bigint * 7919 % 1000003) / 1000000.0)::numeric(20, 6))::text));
          commit;
        end loop;
      end $$`)
    client.release()
    let total = 0n
    for (let charge = 1; charge <= charges; charge += 1) total += BigInt((charge * 7919) % 1_000_003)
    const { addOnCredits } = await database.store(1).getBalance({ userId })
    context.check(
      1_000_000_000_000n - millionths(addOnCredits) === total,
      `${addOnCredits} left; ${amountOf(total)} were charged`,
    )
    // The grant is version 1, and a reservation makes no transaction.
    const { rows } = await database.watcher.query<{ right: number }>(
      `select count(*)::int as right from public.credit_transactions
       where account_id = $1 and type = 'usage' and -amount = ((version - 1) * 7919 % 1000003) / 1000000.0`,
      [userId],
    )
    context.check(rows[0]?.right === charges, `${rows[0]?.right} of ${charges} rows have the exact figure`)
    context.countRuns(charges)
    context.countFault('charge', rows[0]?.right)
  },
}

/** How many rows are read at once. */
const PAGE = 50

/** D3: digits on their way through PostgREST and supabase-js. */
export const D3: Scenario = {
  id: 'D3',
  claim: 'Boundary amounts come back through PostgREST and supabase-js with the digits that were sent.',
  faults: ['round trip'],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const store = restStore(context.stack, database.clone.url)
    const client = createClient(database.clone.url, context.stack.secretKey, { auth: { persistSession: false } })
    const edges = [
      '0.000001',
      '0.1',
      '0.3',
      '1.005',
      '9007199254.740993',
      '900719925474.099301',
      '999999999999.999999',
      '1000000000000',
    ]
    const total = context.goal('round trip')
    const users = await database.users(total, '0')
    const roundTrip = async (random: Random, index: number): Promise<RoundTrip> => {
      const amount =
        edges[index] ?? amountOf(BigInt(random.between(1, 2_000_000_000)) * BigInt(random.between(1, 400_000_000)) + 1n)
      const userId = users[index] ?? ''
      const input = { transactionId: random.uuid(), userId, amount, source: 'purchase', bucket: 'add-on' } as const
      const { transaction } = await store.grant(input)
      const { addOnCredits } = await store.getBalance({ userId })
      return { id: transaction.id, amount, seen: [transaction.amount, addOnCredits] }
    }
    await runConcurrently(
      { random: context.random, times: Math.ceil(total / PAGE), width: 8 },
      async (random, page) => {
        const trips: RoundTrip[] = []
        for (let index = page * PAGE; index < Math.min(total, (page + 1) * PAGE); index += 1) {
          trips.push(await roundTrip(random, index))
        }
        const ids = trips.map(({ id }) => id)
        const { data } = await client.from('credit_transactions_text').select('id, amount, balance_after').in('id', ids)
        for (const { id, amount, seen } of trips) {
          const row = data?.find((each) => each.id === id)
          const all = [...seen, row?.amount, row?.balance_after]
          context.check(
            all.every((digits) => digits === amount),
            `${amount} came back as ${all}`,
          )
          context.countRuns()
          context.countFault('round trip')
        }
      },
    )
  },
}

interface RoundTrip {
  id: string
  amount: string
  /** The digits that came back so far. */
  seen: string[]
}
