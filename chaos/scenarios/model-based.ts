import fc from 'fast-check'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import type { Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { type Answer, amountOf, ask, chargeOf, micros } from '../workload/operations.ts'
import { holdsFor } from '../workload/properties.ts'
import type { Random } from '../workload/random.ts'
import { AccountModel } from './ledger-model.ts'

/** One step, as data, so that a failing sequence can be shrunk and printed. */
type Step =
  | { do: 'reserve'; amount: number; minimum: number; ttl: number }
  | { do: 'extend'; which: number; amount: number; minimum: number; ttl: number }
  | { do: 'capture' | 'settle'; which: number; amount: number }
  | { do: 'release'; which: number }
  | { do: 'grant'; amount: number; bucket: 'plan' | 'add-on'; priority: number; life: number }
  | { do: 'adjust'; amount: number }
  | { do: 'refund'; which: number; amount: number }
  | { do: 'wait'; seconds: number }

const WIDTH = 8

// Amounts as millionths. Small whole numbers collide with each other, which is where the edges are.
const amount = fc.oneof(
  fc.integer({ min: 1, max: 12 }).map((n) => n * 1_000_000),
  fc.integer({ min: 1, max: 9_999_999 }),
)
const which = fc.nat({ max: 5 })
// Multiples of 100 seconds: the few that really pass meanwhile decide nothing.
const life = fc.integer({ min: 1, max: 8 }).map((n) => n * 100 + 50)
const record = fc.record

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: record({ do: fc.constant('reserve' as const), amount, minimum: amount, ttl: life }) },
  { weight: 2, arbitrary: record({ do: fc.constant('extend' as const), which, amount, minimum: amount, ttl: life }) },
  { weight: 2, arbitrary: record({ do: fc.constant('capture' as const), which, amount }) },
  { weight: 4, arbitrary: record({ do: fc.constant('settle' as const), which, amount }) },
  { weight: 1, arbitrary: record({ do: fc.constant('release' as const), which }) },
  {
    weight: 3,
    arbitrary: record({
      do: fc.constant('grant' as const),
      amount,
      bucket: fc.constantFrom('plan' as const, 'add-on' as const),
      priority: fc.integer({ min: 0, max: 3 }),
      life,
    }),
  },
  {
    weight: 1,
    arbitrary: record({
      do: fc.constant('adjust' as const),
      amount: fc.oneof(
        amount,
        amount.map((value) => -value),
      ),
    }),
  },
  { weight: 2, arbitrary: record({ do: fc.constant('refund' as const), which, amount }) },
  { weight: 2, arbitrary: record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(100, 200, 500) }) },
)

/** C12, with C9 inside: any sequence of operations, against a model. */
export const C12: Attack = {
  id: 'C12',
  long: true,
  claim:
    'Any sequence of operations leaves what a model in whole millionths leaves: burn-down, expiry, overage, refunds',
  faults: ['sequence'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(WIDTH)
    const kinds: Record<string, number> = {}
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      fc.constantFrom(0, 5_000_000),
      async (steps, overage) => {
        await play({ field, store, random: arena.random, kinds }, steps, BigInt(overage))
        arena.reached('sequence')
      },
    )
    arena.ran(await holdsFor(arena, property, { times: arena.goal('sequence', 40), width: WIDTH }))
    arena.note(JSON.stringify(kinds))
  },
}

interface Table {
  field: Field
  store: CreditStore
  random: Random
  kinds: Record<string, number>
}

async function play(table: Table, steps: readonly Step[], overage: bigint): Promise<void> {
  const { field, store, kinds } = table
  const userId = await field.user('0')
  await field.admin.query(
    `update public.credit_balances set overage_limit = $2, plan_period_ends_at = null, next_due_at = 'infinity' where account_id = $1`,
    [userId, amountOf(overage)],
  )
  const model = new AccountModel(overage)
  for (const each of steps) {
    const { expected, answer } = await take(table, userId, model, each)
    const got = answer === undefined ? 'ok' : resultOf(answer)
    kinds[`${each.do} ${got}`] = (kinds[`${each.do} ${got}`] ?? 0) + 1
    if (got !== expected)
      throw new Error(`the database and the model part: ${each.do}: the database says ${got}, the model ${expected}`)
    // Reading a balance applies what is due: the next operation has to find it itself.
    if (each.do === 'wait') continue
    model.due()
    const { plan, addOn, debt, reserved } = model.balance
    const ours = [plan, addOn, debt, reserved].map(amountOf).join(' ')
    if ((await written(field, userId)) === ours) continue
    // What was refused, or said before, leaves what is due to whoever reads the balance.
    const balance = await store.getBalance({ userId })
    const theirs = [balance.planCredits, balance.addOnCredits, balance.debt, balance.reserved].join(' ')
    if (theirs !== ours)
      throw new Error(`after ${each.do}: plan, add-on, debt, reserved are ${theirs}, the model has ${ours}`)
  }
  model.due()
  for (const [reservationId, hold] of model.holds) {
    const { captured, uncollected, state } = await store.getReservation({ reservationId })
    const same = micros(captured) === hold.captured && micros(uncollected) === hold.uncollected && state === hold.state
    if (!same) throw new Error(`a reservation ends ${state} with ${captured} and ${uncollected}, not ${hold.state}`)
  }
}

/** The balance as the table has it, seen from a connection that the ledger's functions do not know. */
async function written(field: Field, userId: string): Promise<string> {
  const { rows } = await field.admin.query<{ figures: string }>({
    name: 'written',
    text: `select concat_ws(' ', trim_scale(plan_credits), trim_scale(add_on_credits), trim_scale(debt), trim_scale(reserved)) as figures
      from public.credit_balances where account_id = $1`,
    values: [userId],
  })
  return rows[0]?.figures ?? 'no account'
}

function resultOf(answer: Answer<unknown>): string {
  if (!answer.ok) return answer.code
  const { extension } = answer.value as { extension?: { granted: boolean } | null }
  return extension && !extension.granted ? 'refused' : 'ok'
}

interface Taken {
  expected: string
  answer?: Answer<unknown>
}

async function take({ field, store, random }: Table, userId: string, model: AccountModel, each: Step): Promise<Taken> {
  const id = random.uuid()
  if (each.do === 'wait') {
    await passTime(field, userId, each.seconds)
    model.now += each.seconds
    return { expected: 'ok' }
  }
  if (each.do === 'grant') {
    const { bucket, priority, life: expiresInSeconds } = each
    const grant = {
      transactionId: id,
      userId,
      source: 'promo',
      amount: text(each.amount),
      bucket,
      priority,
      expiresInSeconds,
    } as const
    return {
      expected: model.grant(BigInt(each.amount), bucket, priority, expiresInSeconds),
      answer: await ask(() => store.grant(grant)),
    }
  }
  if (each.do === 'adjust') {
    const input = { transactionId: id, userId, amount: text(each.amount), reason: 'fuzz' }
    return { expected: model.adjust(BigInt(each.amount)), answer: await ask(() => store.adjust(input)) }
  }
  if (each.do === 'reserve') {
    const minimum = Math.min(each.minimum, each.amount)
    const input = {
      reservationId: id,
      userId,
      amount: text(each.amount),
      minimumAmount: text(minimum),
      ttlSeconds: each.ttl,
    }
    return {
      expected: model.reserve(id, BigInt(each.amount), BigInt(minimum), each.ttl),
      answer: await ask(() => store.reserve(input)),
    }
  }
  return each.do === 'refund' ? refund(store, model, each, id) : under(store, model, each, id)
}

async function refund(
  store: CreditStore,
  model: AccountModel,
  each: Step & { do: 'refund' },
  id: string,
): Promise<Taken> {
  const originalId = [...model.charges.keys()].at(-1 - each.which)
  if (originalId === undefined) return { expected: 'ok' }
  const input = { transactionId: id, originalId, amount: text(each.amount), reason: 'fuzz' }
  return { expected: model.refund(originalId, BigInt(each.amount)), answer: await ask(() => store.refund(input)) }
}

type Under = Step & { do: 'extend' | 'capture' | 'settle' | 'release' }

/** The operations on a reservation. */
async function under(store: CreditStore, model: AccountModel, each: Under, id: string): Promise<Taken> {
  const reservationId = [...model.holds.keys()].at(-1 - each.which)
  if (reservationId === undefined) return { expected: 'ok' }
  if (each.do === 'release') {
    return { expected: model.release(reservationId), answer: await ask(() => store.release({ reservationId })) }
  }
  const value = BigInt(each.amount)
  if (each.do === 'extend') {
    const minimum = Math.min(each.minimum, each.amount)
    const input = {
      reservationId,
      extensionId: id,
      amount: text(each.amount),
      minimumAmount: text(minimum),
      ttlSeconds: each.ttl,
    }
    return {
      expected: model.extend(reservationId, value, BigInt(minimum), each.ttl),
      answer: await ask(() => store.extend(input)),
    }
  }
  const charge = chargeOf(text(each.amount))
  if (each.do === 'settle') {
    return {
      expected: model.settle(reservationId, value),
      answer: await ask(() => store.settle({ reservationId, charge })),
    }
  }
  return {
    expected: model.capture(reservationId, id, value),
    answer: await ask(() => store.capture({ reservationId, captureId: id, charge })),
  }
}

function text(value: number): string {
  return amountOf(BigInt(value))
}

/** The database's clock cannot be moved, so everything that has a time is moved back instead. */
async function passTime(field: Field, userId: string, seconds: number): Promise<void> {
  await field.admin.query(
    `with back as (select make_interval(secs => ${seconds}) as by),
     holds as (update public.credit_reservations set expires_at = expires_at - by from back where account_id = '${userId}'),
     lots as (update public.credit_lots set expires_at = expires_at - by from back where account_id = '${userId}')
     update public.credit_balances set next_due_at = next_due_at - by, swept_until = swept_until - by
     from back where account_id = '${userId}'`,
  )
}
