import { type Stack, startStack } from '@layers/local-stack'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import type { Balance } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { chargeOf } from '../../src/testing/case.ts'
import { memoryHarness, type StoreHarness } from '../../src/testing/index.ts'
import { openPool } from '../kit/database.ts'
import { sqlHarness } from '../kit/store-harness.ts'

/**
 * The memory store and SQL implement the same contract apart from each other. Both are given the same random life of an
 * account, and must agree on every answer and every balance.
 */
const RUNS = Number(process.env.ORACLE_RUNS ?? 40)

let stack: Stack
let admin: pg.Pool

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
})
afterAll(async () => {
  await admin?.end()
  await stack?.stop()
})

const amount = fc.oneof(
  fc.integer({ min: 1, max: 60 }).map(String),
  fc
    .integer({ min: 1, max: 99_999_999 })
    .map((micros) => String(micros / 1_000_000))
    .filter((text) => /^\d+(\.\d{1,6})?$/.test(text)),
)
const which = fc.nat({ max: 5 })
const life = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constant('reserve' as const),
        amount,
        minimum: fc.boolean(),
        ttl: fc.constantFrom(50, 500),
      }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('settle' as const), which, amount: fc.option(amount) }) },
    {
      weight: 3,
      arbitrary: fc.record({ op: fc.constant('capture' as const), which, amount, extend: fc.option(amount) }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('extend' as const), which, amount }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('release' as const), which }) },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('grant' as const),
        amount,
        bucket: fc.constantFrom('plan' as const, 'add-on' as const),
        priority: fc.constantFrom(1, 100),
        expires: fc.option(fc.constantFrom(100, 1000)),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('refund' as const), which, amount: fc.option(amount) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('adjust' as const), amount, down: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({ op: fc.constant('advance' as const), seconds: fc.constantFrom(60, 200, 32 * 86_400) }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('reverse' as const), which, amount: fc.option(amount) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('reserve-zero' as const) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('settle-missing' as const), which, amount }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('plan' as const), debt: fc.boolean() }) },
  ),
  { minLength: 5, maxLength: 40 },
)
type Step = typeof life extends fc.Arbitrary<(infer One)[]> ? One : never

/** One account in one store, living through the steps. Ids are the same in both stores: the n-th is the n-th. */
class Life {
  readonly #harness: StoreHarness
  readonly #userId: string
  readonly #ids: readonly string[]
  #reservations: string[] = []
  #usage: string[] = []
  #grants: string[] = []

  constructor(harness: StoreHarness, userId: string, ids: readonly string[]) {
    this.#harness = harness
    this.#userId = userId
    this.#ids = ids
  }

  /** The store's answer, without times and ids. */
  async take(step: Step, index: number): Promise<unknown> {
    const answer = await this.#run(step, this.#ids[index] ?? '').catch((error: unknown) => {
      if (!CreditError.isInstance(error)) throw error
      return { code: error.code, ...(error.code === 'INSUFFICIENT_CREDITS' && { details: error.details }) }
    })
    return { answer, balance: plain(await this.#harness.store.getBalance({ userId: this.#userId })) }
  }

  async #run(step: Step, id: string): Promise<unknown> {
    const { store } = this.#harness
    const userId = this.#userId
    const reservationId = 'which' in step ? (this.#reservations.at(-1 - step.which) ?? id) : id
    switch (step.op) {
      case 'reserve': {
        const minimum = step.minimum ? { minimumAmount: '0.000001' } : {}
        const result = await store.reserve({
          reservationId: id,
          userId,
          amount: step.amount,
          ttlSeconds: step.ttl,
          ...minimum,
        })
        this.#reservations.push(id)
        return figures(result)
      }
      case 'settle': {
        const charge = step.amount === null ? {} : { charge: chargeOf(step.amount) }
        const result = await store.settle({ userId, reservationId, ...charge })
        if (result.transaction && !result.replayed) this.#usage.push(result.transaction.id)
        return { ...figures(result), amount: result.transaction?.amount, after: result.transaction?.balanceAfter }
      }
      case 'reserve-zero':
        return figures(await store.reserve({ reservationId: id, userId, amount: '0', ttlSeconds: 50 }))
      case 'settle-missing': {
        const charge = chargeOf(step.amount)
        const result = await store.settle({ userId, reservationId, charge, createMissing: true })
        if (result.transaction && !result.replayed) this.#usage.push(result.transaction.id)
        return figures(result)
      }
      case 'capture': {
        const extend =
          step.extend === null ? {} : { extend: { amount: step.extend, minimumAmount: '0.000001', ttlSeconds: 500 } }
        const result = await store.capture({
          userId,
          reservationId,
          captureId: id,
          charge: chargeOf(step.amount),
          ...extend,
        })
        this.#usage.push(result.transaction.id)
        return { ...figures(result), amount: result.transaction.amount, extension: result.extension }
      }
      case 'extend':
        return figures(
          await store.extend({ userId, reservationId, extensionId: id, amount: step.amount, ttlSeconds: 500 }),
        )
      case 'release':
        return figures(await store.release({ userId, reservationId }))
      case 'grant': {
        const { amount, bucket, priority, expires } = step
        const expiry = expires === null ? {} : { expiresInSeconds: expires }
        await store.grant({ transactionId: id, userId, amount, source: 'promo', bucket, priority, ...expiry })
        this.#grants.push(id)
        return 'granted'
      }
      case 'refund': {
        const originalId = this.#usage.at(-1 - step.which) ?? id
        const part = step.amount === null ? {} : { amount: step.amount }
        return (await store.refund({ userId, transactionId: id, originalId, reason: 'test', ...part })).transaction
          .amount
      }
      case 'reverse': {
        const originalId = this.#grants.at(-1 - step.which) ?? id
        const part = step.amount === null ? {} : { amount: step.amount }
        const input = { userId, transactionId: id, originalId, reason: 'test', ...part }
        const { amount, uncollected, balanceAfter } = (await store.reverse(input)).transaction
        return { amount, uncollected, balanceAfter }
      }
      case 'adjust': {
        const signed = step.down ? `-${step.amount}` : step.amount
        return (await store.adjust({ transactionId: id, userId, amount: signed, reason: 'test' })).transaction.amount
      }
      case 'advance':
        return this.#harness.advance(userId, step.seconds)
      case 'plan':
        return this.#harness.changePlan(userId, { overageLimit: '20', reversalDebt: step.debt })
    }
  }
}

function figures(result: {
  state: string
  amount: string
  captured: string
  uncollected: string
  late: boolean
  replayed: boolean
}) {
  const { state, amount, captured, uncollected, late, replayed } = result
  return { state, amount, captured, uncollected, late, replayed }
}

function plain({ userId: _, periodEndsAt: __, ...rest }: Balance) {
  return rest
}

it(`the memory store and SQL agree on ${RUNS} random lives of an account`, { timeout: 120_000 }, async () => {
  const sql = sqlHarness(postgresStore(admin, { prepare: true }), admin)
  await fc.assert(
    fc.asyncProperty(life, async (steps) => {
      const memory = memoryHarness()
      const ids = steps.map(() => crypto.randomUUID())
      const ours = new Life(memory, await memory.createUser(), ids)
      const theirs = new Life(sql, await sql.createUser(), ids)
      for (const [index, step] of steps.entries()) {
        expect(await ours.take(step, index), `step ${index}`).toEqual(await theirs.take(step, index))
      }
    }),
    { numRuns: RUNS, ...(process.env.ORACLE_SEED && { seed: Number(process.env.ORACLE_SEED) }) },
  )
})
