import fc from 'fast-check'
import type { CreditStore } from '../../../packages/credits/src/store/port.ts'
import type { TestDatabase } from '../../runner/test-database.ts'
import { type Answer, amountOf, attempt, chargeOf } from '../../workload/operations.ts'
import type { Random } from '../../workload/random.ts'
import type { AccountModel, Bucket } from './account-model.ts'

/** The account in the database. */
export interface RealAccount {
  database: TestDatabase
  store: CreditStore
  random: Random
  userId: string
  /** How often each command had each result. */
  results: Record<string, number>
}

export type AccountCommand = fc.AsyncCommand<AccountModel, RealAccount>

/** What a command does to the model, and to the database under the same ids. */
interface Step {
  /** Whether there is something to act on. */
  check?(model: AccountModel): boolean
  model(model: AccountModel, id: string): string
  real(real: RealAccount, id: string, model: AccountModel): Promise<unknown>
}

/** A command that compares the answer, then the balance. */
class OperationCommand implements AccountCommand {
  readonly #name: string
  readonly #values: object
  readonly #step: Step

  constructor(name: string, values: object, step: Step) {
    this.#name = name
    this.#values = values
    this.#step = step
  }

  check(model: Readonly<AccountModel>): boolean {
    return this.#step.check?.(model as AccountModel) ?? true
  }

  async run(model: AccountModel, real: RealAccount): Promise<void> {
    const id = real.random.uuid()
    const answer = await attempt(() => this.#step.real(real, id, model))
    const expected = this.#step.model(model, id)
    const got = resultOf(answer)
    const counted = `${this.#name} ${got}`
    real.results[counted] = (real.results[counted] ?? 0) + 1
    if (got !== expected) throw new Error(`${this.#name}: the database answers ${got}, the model ${expected}`)
    await compareBalances(this.#name, model, real)
  }

  toString(): string {
    return `${this.#name}(${JSON.stringify(this.#values)})`
  }
}

/** Time passes. The next operation finds what has become due, so nothing is read here. */
class WaitCommand implements AccountCommand {
  readonly #seconds: number

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  check(): boolean {
    return true
  }

  async run(model: AccountModel, real: RealAccount): Promise<void> {
    await passTime(real, this.#seconds)
    model.now += this.#seconds
  }

  toString(): string {
    return `wait(${this.#seconds})`
  }
}

function resultOf(answer: Answer<unknown>): string {
  if (!answer.ok) return answer.code
  const { extension } = answer.value as { extension?: { granted: boolean } | null }
  return extension && !extension.granted ? 'not granted' : 'ok'
}

async function compareBalances(name: string, model: AccountModel, { database, store, userId }: RealAccount) {
  model.applyDue()
  const { plan, addOn, debt, reserved } = model.balance
  const expected = [plan, addOn, debt, reserved].map(amountOf).join(' ')
  if ((await storedBalance(database, userId)) === expected) return
  // A refused or repeated operation leaves due work to the next one, as reading a balance is.
  const balance = await store.getBalance({ userId })
  const got = [balance.planCredits, balance.addOnCredits, balance.debt, balance.reserved].join(' ')
  if (got !== expected) {
    throw new Error(`after ${name}: plan, add-on, debt and reserved are ${got}, in the model ${expected}`)
  }
}

/** The balance as the table has it, read without a function of the ledger. */
async function storedBalance(database: TestDatabase, userId: string): Promise<string> {
  const { rows } = await database.admin.query<{ figures: string }>({
    name: 'stored-balance',
    text: `select concat_ws(' ', trim_scale(plan_credits), trim_scale(add_on_credits), trim_scale(debt),
        trim_scale(reserved)) as figures
      from public.credit_balances where account_id = $1`,
    values: [userId],
  })
  return rows[0]?.figures ?? 'no account'
}

/** The clock of the database cannot be moved, so everything that has a time is moved back instead. */
async function passTime({ database, userId }: RealAccount, seconds: number): Promise<void> {
  await database.admin.query(
    `with passed as (select make_interval(secs => ${seconds}) as time),
     reservations as (
       update public.credit_reservations set expires_at = expires_at - time, created_at = created_at - time
       from passed where account_id = '${userId}'),
     lots as (update public.credit_lots set expires_at = expires_at - time from passed where account_id = '${userId}')
     update public.credit_balances set next_due_at = next_due_at - time, expired_until = expired_until - time
     from passed where account_id = '${userId}'`,
  )
}

// Amounts are millionths. Small whole credits are often equal to each other, which is where the edges are.
const amount = fc.oneof(
  fc.integer({ min: 1, max: 12 }).map((credits) => credits * 1_000_000),
  fc.integer({ min: 1, max: 9_999_999 }),
)
/** Counted from the latest one. */
const which = fc.nat({ max: 5 })
// Multiples of 100 seconds and a half: the few seconds that really pass meanwhile decide nothing.
const life = fc.integer({ min: 1, max: 8 }).map((hundreds) => hundreds * 100 + 50)

const text = (value: number): string => amountOf(BigInt(value))

/** The id of a reservation, usage or grant of the model, counted from the latest one; empty when there is none. */
function pick(ids: ReadonlyMap<string, unknown>, index: number): string {
  const latestFirst = [...ids.keys()].reverse()
  return latestFirst[index % Math.max(1, latestFirst.length)] ?? ''
}

type Of<Values> = (values: Values) => AccountCommand

interface ReserveValues {
  amount: number
  minimum: number
  life: number
}

const reserve: Of<ReserveValues> = (values) => {
  const minimum = Math.min(values.minimum, values.amount)
  return new OperationCommand('reserve', values, {
    model: (model, id) => model.reserve(id, BigInt(values.amount), BigInt(minimum), values.life),
    real: ({ store, userId }, id) => {
      const amounts = { amount: text(values.amount), minimumAmount: text(minimum) }
      return store.reserve({ userId, reservationId: id, ...amounts, ttlSeconds: values.life })
    },
  })
}

const extend: Of<ReserveValues & { which: number }> = (values) => {
  const minimum = Math.min(values.minimum, values.amount)
  const find = (model: AccountModel): string => pick(model.reservations, values.which)
  return new OperationCommand('extend', values, {
    check: (model) => find(model) !== '',
    model: (model) => model.extend(find(model), BigInt(values.amount), BigInt(minimum), values.life),
    real: ({ store, userId }, id, model) => {
      const amounts = { amount: text(values.amount), minimumAmount: text(minimum) }
      const reservation = { userId, reservationId: find(model) }
      return store.extend({ ...reservation, extensionId: id, ...amounts, ttlSeconds: values.life })
    },
  })
}

interface AmountOfOne {
  which: number
  amount: number
}

const capture: Of<AmountOfOne> = (values) => {
  const find = (model: AccountModel): string => pick(model.reservations, values.which)
  return new OperationCommand('capture', values, {
    check: (model) => find(model) !== '',
    model: (model, id) => model.capture(find(model), id, BigInt(values.amount)),
    real: ({ store, userId }, id, model) => {
      const charge = chargeOf(text(values.amount))
      return store.capture({ userId, reservationId: find(model), captureId: id, charge })
    },
  })
}

const settle: Of<AmountOfOne> = (values) => {
  const find = (model: AccountModel): string => pick(model.reservations, values.which)
  return new OperationCommand('settle', values, {
    check: (model) => find(model) !== '',
    model: (model) => model.settle(find(model), BigInt(values.amount)),
    real: ({ store, userId }, _id, model) =>
      store.settle({ userId, reservationId: find(model), charge: chargeOf(text(values.amount)) }),
  })
}

const release: Of<{ which: number }> = (values) => {
  const find = (model: AccountModel): string => pick(model.reservations, values.which)
  return new OperationCommand('release', values, {
    check: (model) => find(model) !== '',
    model: (model) => model.release(find(model)),
    real: ({ store, userId }, _id, model) => store.release({ userId, reservationId: find(model) }),
  })
}

interface GrantValues {
  amount: number
  bucket: Bucket
  priority: number
  life: number
}

const grant: Of<GrantValues> = (values) =>
  new OperationCommand('grant', values, {
    model: (model, id) => model.grant(id, BigInt(values.amount), values),
    real: ({ store, userId }, id) => {
      const lot = { bucket: values.bucket, priority: values.priority, expiresInSeconds: values.life }
      return store.grant({ userId, transactionId: id, source: 'promo', amount: text(values.amount), ...lot })
    },
  })

const adjust: Of<{ amount: number }> = (values) =>
  new OperationCommand('adjust', values, {
    model: (model) => model.adjust(BigInt(values.amount)),
    real: ({ store, userId }, id) =>
      store.adjust({ userId, transactionId: id, amount: text(values.amount), reason: 'model' }),
  })

const correct =
  (operation: 'refund' | 'reverse'): Of<AmountOfOne> =>
  (values) => {
    const find = (model: AccountModel): string =>
      pick(operation === 'refund' ? model.usages : model.grants, values.which)
    return new OperationCommand(operation, values, {
      check: (model) => find(model) !== '',
      model: (model) => model[operation](find(model), BigInt(values.amount)),
      real: ({ store, userId }, id, model) => {
        const original = { originalId: find(model), amount: text(values.amount) }
        return store[operation]({ userId, transactionId: id, ...original, reason: 'model' })
      },
    })
  }

const either = fc.oneof(
  amount,
  amount.map((value) => -value),
)
const bucket = fc.constantFrom<Bucket>('plan', 'add-on')
const priority = fc.integer({ min: 0, max: 3 })

/** Every command, by weight. `fc.commands` picks from the list with equal probability. */
export const COMMANDS: fc.Arbitrary<AccountCommand>[] = [
  { weight: 5, arbitrary: fc.record({ amount, minimum: amount, life }).map(reserve) },
  { weight: 2, arbitrary: fc.record({ which, amount, minimum: amount, life }).map(extend) },
  { weight: 2, arbitrary: fc.record({ which, amount }).map(capture) },
  { weight: 4, arbitrary: fc.record({ which, amount }).map(settle) },
  { weight: 1, arbitrary: fc.record({ which }).map(release) },
  { weight: 4, arbitrary: fc.record({ amount, bucket, priority, life }).map(grant) },
  { weight: 1, arbitrary: fc.record({ amount: either }).map(adjust) },
  { weight: 2, arbitrary: fc.record({ which, amount }).map(correct('refund')) },
  { weight: 2, arbitrary: fc.record({ which, amount }).map(correct('reverse')) },
  { weight: 2, arbitrary: fc.constantFrom(100, 200, 500).map((seconds) => new WaitCommand(seconds)) },
].flatMap(({ weight, arbitrary }) => Array<fc.Arbitrary<AccountCommand>>(weight).fill(arbitrary))
