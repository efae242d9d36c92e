import type { CreditStore, TransactionResult } from '../../packages/credits/src/store/port.ts'
import type { Arena } from '../runner/scenario.ts'
import { sideBySide } from '../runner/side-by-side.ts'
import type { Field } from '../runner/test-database.ts'
import { type Answer, amountOf, chargeOf, insist, micros } from './operations.ts'
import type { Random } from './random.ts'

/** What callers were told: the truth that the books have to agree with afterwards. */
export interface History {
  /** Transactions that were acknowledged, by id. */
  acked: Map<string, { userId: string; amount: bigint }>
  /** Reservations that were acknowledged. */
  reservations: Set<string>
  /** Ids of calls whose outcome nobody learnt: wholly there or wholly absent, both are right. */
  unknown: Set<string>
  /** Ids of calls that were refused. */
  refused: Set<string>
  /** How often each result came. */
  results: Record<string, number>
  /** Calls with all their repetitions, and the most that one operation took. */
  attempts: { total: number; most: number }
}

/** An empty history. */
export function newHistory(): History {
  const attempts = { total: 0, most: 0 }
  return { acked: new Map(), reservations: new Set(), unknown: new Set(), refused: new Set(), results: {}, attempts }
}

/** A crowd that moves on from account to account. */
export interface Moving {
  accounts: number
  /** Calls of one worker. */
  every: number
}

/** How to make traffic. */
export interface TrafficOptions {
  store: CreditStore
  accounts: readonly string[]
  /** Only so many accounts at a time, and the next ones after so many calls: as crowded, but with a short past each. */
  moving?: Moving | undefined
  random: Random
  history: History
  /** Calls of this worker. */
  operations: number
  /** Ends early when it says so. */
  stopped?: () => boolean
  /** How often a call is repeated with the same ids before its outcome counts as unknown. */
  attempts?: number
  /** What else may happen between the calls. */
  between?: (userId: string, random: Random) => Promise<unknown>
}

interface Worker extends TrafficOptions {
  open: { id: string; userId: string }[]
  charged: string[]
}

/** One worker: a seeded mix of every operation of the store over some accounts, remembering what it was told. */
export async function traffic(options: TrafficOptions): Promise<void> {
  const worker: Worker = { ...options, open: [], charged: [] }
  for (let count = 0; count < options.operations; count += 1) {
    if (options.stopped?.()) return
    const userId = options.random.pick(crowded(options, count))
    const step = STEPS[worker.random.pick(MIX)]
    await step(worker, userId)
    if (options.between && options.random.chance(0.05)) await options.between(userId, options.random)
  }
}

/** Where the workers are when one of them has made so many calls; after the last accounts come the first again. */
function crowded({ accounts, moving }: TrafficOptions, calls: number): readonly string[] {
  if (!moving) return accounts
  const crowds = Math.ceil(accounts.length / moving.accounts)
  const start = (Math.floor(calls / moving.every) % crowds) * moving.accounts
  return accounts.slice(start, start + moving.accounts)
}

type Step = (worker: Worker, userId: string) => Promise<unknown>
type StepName = 'reserve' | 'close' | 'capture' | 'extend' | 'grant' | 'adjust' | 'refund' | 'read'

const MIX: readonly StepName[] = [
  ...Array<StepName>(6).fill('reserve'),
  ...Array<StepName>(5).fill('close'),
  ...Array<StepName>(2).fill('capture'),
  'extend',
  ...Array<StepName>(2).fill('grant'),
  'adjust',
  'refund',
  'read',
]

const STEPS: Record<StepName, Step> = {
  reserve: async (worker, userId) => {
    const { random, store } = worker
    const id = random.uuid()
    const amount = some(random, 5_000_000)
    const minimum = random.chance(0.3) ? { minimumAmount: '0.000001' } : {}
    const answer = await note(worker, id, () =>
      store.reserve({ reservationId: id, userId, amount, ...minimum, ttlSeconds: 300 }),
    )
    if (!answer.ok) return
    worker.history.reservations.add(id)
    worker.open.push({ id, userId })
  },
  close: async (worker, userId) => {
    const { random, store } = worker
    const known = worker.open.splice(random.between(0, Math.max(0, worker.open.length - 1)), 1)[0]
    if (!known) return STEPS.reserve(worker, userId)
    if (random.chance(0.2)) return note(worker, known.id, () => store.release({ reservationId: known.id }))
    const charge = chargeOf(some(random, 6_000_000))
    const answer = await note(worker, known.id, () => store.settle({ reservationId: known.id, charge }))
    if (answer.ok) booked(worker, answer.value)
  },
  capture: async (worker, userId) => {
    const { random, store } = worker
    if (worker.open.length === 0) return STEPS.reserve(worker, userId)
    const { id: reservationId } = random.pick(worker.open)
    const input = { reservationId, captureId: random.uuid(), charge: chargeOf(some(random, 2_000_000)) }
    const extend = random.chance(0.5) ? { extend: { amount: '1', minimumAmount: '0.1', ttlSeconds: 300 } } : {}
    const answer = await note(worker, input.captureId, () => store.capture({ ...input, ...extend }))
    if (answer.ok) booked(worker, answer.value)
  },
  extend: async (worker, userId) => {
    const { random, store } = worker
    if (worker.open.length === 0) return STEPS.reserve(worker, userId)
    const input = {
      reservationId: random.pick(worker.open).id,
      extensionId: random.uuid(),
      amount: '1',
      ttlSeconds: 300,
    }
    return note(worker, input.extensionId, () => store.extend(input))
  },
  grant: async (worker, userId) => {
    const { random, store } = worker
    const bucket = random.pick(['plan', 'add-on'] as const)
    const input = {
      transactionId: random.uuid(),
      userId,
      amount: some(random, 6_000_000),
      bucket,
      source: 'promo' as const,
    }
    const priority = random.between(0, 200)
    const answer = await note(worker, input.transactionId, () => store.grant({ ...input, priority }))
    if (answer.ok) booked(worker, answer.value)
  },
  adjust: async (worker, userId) => {
    const { random, store } = worker
    const amount = amountOf(BigInt(random.pick([-1, 1]) * random.between(1, 2_000_000)))
    const input = { transactionId: random.uuid(), userId, amount, reason: 'traffic' }
    const answer = await note(worker, input.transactionId, () => store.adjust(input))
    if (answer.ok) booked(worker, answer.value)
  },
  refund: async (worker, userId) => {
    const { random, store } = worker
    if (worker.charged.length === 0) return STEPS.grant(worker, userId)
    const input = { transactionId: random.uuid(), originalId: random.pick(worker.charged), reason: 'traffic' }
    const part = random.chance(0.5) ? { amount: '0.1' } : {}
    const answer = await note(worker, input.transactionId, () => store.refund({ ...input, ...part }))
    if (answer.ok) booked(worker, answer.value)
  },
  read: async (worker, userId) => {
    if (worker.random.chance(0.5)) return note(worker, undefined, () => worker.store.getBalance({ userId }))
    return note(worker, undefined, () => worker.store.getHistory({ userId, limit: 20 }))
  },
}

/** An amount of up to so many millionths; often one that leaves no round number. */
function some(random: Random, most: number): string {
  return amountOf(BigInt(random.between(1, most)))
}

async function note<Value>(worker: Worker, id: string | undefined, call: () => Promise<Value>): Promise<Answer<Value>> {
  let tries = 0
  const counted = (): Promise<Value> => {
    tries += 1
    return call()
  }
  const answer = await insist(counted, worker.attempts)
  const { results, unknown, refused, attempts } = worker.history
  attempts.total += tries
  attempts.most = Math.max(attempts.most, tries)
  const name = answer.ok ? 'ok' : answer.code
  results[name] = (results[name] ?? 0) + 1
  if (id !== undefined && !answer.ok && ['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE', 'STORE_BUSY'].includes(answer.code)) {
    unknown.add(id)
  }
  if (id !== undefined && !answer.ok) refused.add(id)
  return answer
}

function booked(worker: Worker, { transaction }: { transaction: TransactionResult['transaction'] | null }): void {
  if (transaction === null) return
  worker.history.acked.set(transaction.id, { userId: transaction.userId, amount: micros(transaction.amount) })
  if (transaction.type === 'usage' && transaction.amount !== '0') worker.charged.push(transaction.id)
}

/** Refusals that a correct ledger may give to this traffic. */
const EXPECTED = new Set([
  'ok',
  'INSUFFICIENT_CREDITS',
  'RESERVATION_CLOSED',
  'REFUND_EXCEEDS_ORIGINAL',
  'LIMIT_EXCEEDED',
  'RESERVATION_NOT_FOUND',
  'OUTCOME_UNKNOWN',
  'STORE_UNAVAILABLE',
  'STORE_BUSY',
])

/** I9, and the sums replayed: what was acknowledged is stored as it was told, and nothing else is. */
export async function compareWithHistory(arena: Arena, field: Field, history: History): Promise<void> {
  const { rows } = await field.admin.query<{
    id: string
    account_id: string
    amount: string
    type: string
    source: string
  }>('select id, account_id, amount::text, type, source from public.credit_transactions')
  const stored = new Map(rows.map((row) => [row.id, row]))
  for (const [id, { userId, amount }] of history.acked) {
    const row = stored.get(id)
    const same = row !== undefined && micros(row.amount) === amount && row.account_id === userId
    arena.check(same, 'I9 an acknowledged transaction is lost or changed', { id, amount, row })
  }
  const own = new Set(['signup', 'plan', 'purchase'])
  for (const row of rows) {
    const known =
      history.acked.has(row.id) || history.unknown.has(row.id) || row.type === 'expiry' || own.has(row.source)
    arena.check(known, 'I9 a transaction that nobody asked for', row)
  }
  const { rows: held } = await field.admin.query<{ id: string }>('select id from public.credit_reservations')
  const there = new Set(held.map(({ id }) => id))
  for (const id of history.reservations) arena.check(there.has(id), 'I9 an acknowledged reservation is lost', { id })
  const strange = Object.entries(history.results).filter(([code]) => !EXPECTED.has(code))
  arena.check(strange.length === 0, 'a refusal that this traffic cannot cause', strange)
}

/** I14: every account can reserve and settle again, and nothing is left active past its time. */
export async function checkAlive(arena: Arena, store: CreditStore, accounts: readonly string[]): Promise<void> {
  const { random } = arena
  await sideBySide({ random, times: accounts.length, width: 8 }, async (own, index) => {
    const userId = accounts[index] ?? ''
    const input = {
      transactionId: own.uuid(),
      userId,
      amount: '1000',
      source: 'purchase',
      bucket: 'add-on',
    } as const
    const reservationId = own.uuid()
    const answer = await insist(async () => {
      await store.grant(input)
      await store.reserve({ reservationId, userId, amount: '1', ttlSeconds: 60 })
      return store.settle({ reservationId, charge: chargeOf('1') })
    })
    arena.check(answer.ok, 'I14 an account is stuck', { userId, code: answer.ok ? 'ok' : answer.code })
  })
}
