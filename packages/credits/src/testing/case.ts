import { CreditError, type CreditErrorCode } from '../core/errors.ts'
import type { CreditStore, StoreGrantInput, StoreReserveInput } from '../store/port.ts'
import type {
  Balance,
  ChargeRecord,
  ReservationResult,
  SettleResult,
  Transaction,
  TransactionResult,
} from '../store/types.ts'

/** A store under test, and what the suite needs besides the port. */
export interface StoreHarness {
  store: CreditStore
  /** A new account on a plan of 50 credits a month without overage; its 50 signup credits are all it has. */
  createUser(): Promise<string>
  /**
   * Moves the account to a plan that differs in these alone: its overage limit, and whether a reversal leaves a debt.
   * By default there is no overage, and reversals leave a debt.
   */
  changePlan(userId: string, plan: { overageLimit?: string; reversalDebt?: boolean }): Promise<void>
  /** Lets time pass for the account: what falls due within these seconds is due afterwards. */
  advance(userId: string, seconds: number): Promise<void>
  freezeAccount(userId: string, frozen: boolean): Promise<void>
  freezeSpending(frozen: boolean): Promise<void>
}

/** One claim of the store port: a sentence, and the test of it. */
export interface ContractCase {
  claim: string
  run(harness: StoreHarness): Promise<void>
}

/** A user that no store knows. */
export const UNKNOWN_USER = '00000000-0000-4000-8000-000000000000'

/** A new id. */
export const newId = (): string => crypto.randomUUID()

/** A charge as `price` makes it, with the amount that a case needs. */
export function chargeOf(amount: string, more: Partial<ChargeRecord> = {}): ChargeRecord {
  return {
    amount,
    costUsd: '0.01',
    marginPercent: '60',
    costSource: 'rate',
    computedCostUsd: '0.01',
    reportedCostUsd: null,
    model: 'test/model',
    servedModel: null,
    feature: null,
    usage: { inputTokens: 12, outputTokens: 34 },
    inputTokens: 12,
    outputTokens: 34,
    rateId: null,
    marginId: null,
    pricing: { version: 1 },
    generationId: null,
    provider: null,
    flags: [],
    rawUsage: null,
    metadata: {},
    ...more,
  }
}

/** Reserves under a new id. */
export function reserve(
  { store }: StoreHarness,
  userId: string,
  amount: string,
  more: Partial<StoreReserveInput> = {},
): Promise<ReservationResult> {
  return store.reserve({ reservationId: newId(), userId, amount, ttlSeconds: 300, ...more })
}

/** Settles with a charge of this amount. */
export function settle(
  { store }: StoreHarness,
  key: { userId: string; reservationId: string },
  amount: string,
  more: Partial<ChargeRecord> = {},
): Promise<SettleResult> {
  const { userId, reservationId } = key
  return store.settle({ userId, reservationId, charge: chargeOf(amount, more) })
}

/** Grants under a new id. */
export function grant(
  { store }: StoreHarness,
  userId: string,
  amount: string,
  more: Partial<StoreGrantInput> = {},
): Promise<TransactionResult> {
  return store.grant({ transactionId: newId(), userId, amount, source: 'purchase', bucket: 'add-on', ...more })
}

/** Reserves and settles. Returns the usage transaction. */
export async function spend(harness: StoreHarness, userId: string, amount: string): Promise<Transaction> {
  const { transaction } = await settle(harness, await reserve(harness, userId, amount), amount)
  if (transaction === null) throw new Error('a settle with a charge returned no transaction')
  return transaction
}

/** All transactions of an account, oldest first, read page by page. */
export async function ledgerOf({ store }: StoreHarness, userId: string): Promise<Transaction[]> {
  const rows: Transaction[] = []
  let before: number | undefined
  do {
    const page = await store.getHistory({ userId, limit: 3, before })
    rows.push(...page.data)
    before = page.nextBefore ?? undefined
  } while (before !== undefined)
  return rows.reverse()
}

/** Fails unless the object has these values. */
export function has<Subject extends object>(
  actual: Subject,
  expected: { [Key in keyof Subject]?: Subject[Key] },
): void {
  for (const key of Object.keys(expected) as (keyof Subject)[]) {
    equal(actual[key], expected[key], String(key))
  }
}

/** Fails unless both are the same, compared as JSON. */
export function equal(actual: unknown, expected: unknown, what = 'value'): void {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (got !== wanted) throw new Error(`${what}: expected ${wanted}, got ${got}`)
}

/** Fails unless the account has these figures. */
export async function balanceIs(
  { store }: StoreHarness,
  userId: string,
  expected: { [Key in keyof Balance]?: Balance[Key] },
): Promise<void> {
  has(await store.getBalance({ userId }), expected)
}

/** Fails unless the promise is rejected with this code and, where given, these details. */
export async function refused(
  promise: Promise<unknown>,
  code: CreditErrorCode,
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const error = await promise.then(
    (value) => new Error(`expected ${code}, but it succeeded: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (!CreditError.isInstance(error)) throw error
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error })
  has<Record<string, unknown>>(error.details, details)
}
