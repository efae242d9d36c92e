import { CreditError, type CreditErrorCode } from '../core/errors.ts'
import type {
  Balance,
  ChargeRecord,
  CreditStore,
  GrantSource,
  ReservationResult,
  StoreReserveInput,
} from '../store/port.ts'

/** A store under test, and what the suite needs besides the port. */
export interface StoreHarness {
  store: CreditStore
  /** A new account on a plan of 50 credits a month without overage; its 50 signup credits are all it has. */
  createUser(): Promise<string>
  /** Moves the account to a plan that differs in its overage limit alone. */
  allowOverage(userId: string, limit: string): Promise<void>
  /** Lets time pass for the account: whatever falls due within these seconds is due afterwards. */
  advance(userId: string, seconds: number): Promise<void>
  freezeAccount(userId: string, frozen: boolean): Promise<void>
  freezeSpending(frozen: boolean): Promise<void>
}

/** One promise of the store port: a sentence, and the test of it. */
export interface ContractCase {
  claim: string
  run(harness: StoreHarness): Promise<void>
}

/** Some other account's id that no store knows. */
export const NOBODY = '00000000-0000-4000-8000-000000000000'

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
  return store.reserve({ reservationId: crypto.randomUUID(), userId, amount, ttlSeconds: 300, ...more })
}

/** Grants under a new id. */
export function grant(
  { store }: StoreHarness,
  userId: string,
  amount: string,
  more: { bucket?: 'plan' | 'add-on'; source?: GrantSource; priority?: number; expiresInSeconds?: number } = {},
): ReturnType<CreditStore['grant']> {
  const input = { source: 'purchase', bucket: 'add-on', ...more } as const
  return store.grant({ transactionId: crypto.randomUUID(), userId, amount, ...input })
}

/** Spends at once: reserve and settle. Gives the usage transaction. */
export async function spend(harness: StoreHarness, userId: string, amount: string) {
  const { reservationId } = await reserve(harness, userId, amount)
  const { transaction } = await harness.store.settle({ reservationId, charge: chargeOf(amount) })
  if (transaction === null) throw new Error('a settle with a charge gave no transaction')
  return transaction
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
