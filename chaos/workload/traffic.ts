import type { CreditStore, TransactionResult } from '../../packages/credits/src/store/port.ts'
import type { TrafficHistory } from './history.ts'
import { type Answer, amountOf, chargeOf, millionths, retryUntilAnswered } from './operations.ts'
import type { Random } from './random.ts'

/** Which accounts are used at a time: all callers move on to the next ones together. */
export interface AccountWindow {
  accounts: number
  /** Calls of one caller before it moves on. */
  calls: number
}

/** How to make traffic. */
export interface TrafficOptions {
  store: CreditStore
  accounts: readonly string[]
  /** Use only some accounts at a time: as contended, but with a short history each. Default: all. */
  window?: AccountWindow | undefined
  random: Random
  history: TrafficHistory
  /** Calls of this caller. */
  operations: number
  /** Ends early when it returns true. */
  stopped?: () => boolean
  /** How often a call is repeated with the same ids before its outcome counts as unknown. */
  attempts?: number
  /** What else happens between the calls. */
  between?: (userId: string, random: Random) => Promise<unknown>
}

interface OpenReservation {
  userId: string
  reservationId: string
}

interface Caller extends TrafficOptions {
  open: OpenReservation[]
  /** Usage that can be refunded, and grants that can be reversed. */
  usages: { userId: string; originalId: string }[]
  grants: { userId: string; originalId: string }[]
}

/** One caller: a seeded mix of every operation of the store over some accounts, whose answers go into the history. */
export async function traffic(options: TrafficOptions): Promise<void> {
  const caller: Caller = { ...options, open: [], usages: [], grants: [] }
  for (let count = 0; count < options.operations; count += 1) {
    if (options.stopped?.()) return
    const userId = options.random.pick(accountsInUse(options, count))
    await OPERATIONS[options.random.pick(MIX)](caller, userId)
    if (options.between && options.random.chance(0.05)) await options.between(userId, options.random)
  }
}

/** After the last accounts come the first ones again. */
function accountsInUse({ accounts, window }: TrafficOptions, calls: number): readonly string[] {
  if (!window) return accounts
  const windows = Math.ceil(accounts.length / window.accounts)
  const start = (Math.floor(calls / window.calls) % windows) * window.accounts
  return accounts.slice(start, start + window.accounts)
}

type Operation = (caller: Caller, userId: string) => Promise<unknown>
type OperationName = 'reserve' | 'close' | 'capture' | 'extend' | 'grant' | 'adjust' | 'refund' | 'reverse' | 'read'

const MIX: readonly OperationName[] = [
  ...Array<OperationName>(12).fill('reserve'),
  ...Array<OperationName>(10).fill('close'),
  ...Array<OperationName>(4).fill('capture'),
  ...Array<OperationName>(2).fill('extend'),
  ...Array<OperationName>(4).fill('grant'),
  ...Array<OperationName>(2).fill('adjust'),
  ...Array<OperationName>(2).fill('refund'),
  'reverse',
  ...Array<OperationName>(2).fill('read'),
]

const OPERATIONS: Record<OperationName, Operation> = {
  reserve,
  close,
  capture,
  extend,
  grant,
  adjust,
  refund: (caller, userId) => correct(caller, userId, 'refund'),
  reverse: (caller, userId) => correct(caller, userId, 'reverse'),
  read: (caller, userId) =>
    caller.random.chance(0.5)
      ? record(caller, undefined, () => caller.store.getBalance({ userId }))
      : record(caller, undefined, () => caller.store.getHistory({ userId, limit: 20 })),
}

async function reserve(caller: Caller, userId: string): Promise<void> {
  const { random, store } = caller
  const reservationId = random.uuid()
  const minimum = random.chance(0.3) ? { minimumAmount: '0.000001' } : {}
  const input = { reservationId, userId, amount: randomAmount(random, 5_000_000), ...minimum, ttlSeconds: 300 }
  const answer = await record(caller, reservationId, () => store.reserve(input))
  if (!answer.ok) return
  caller.history.reservations.add(reservationId)
  caller.open.push({ userId, reservationId })
}

async function close(caller: Caller, userId: string): Promise<unknown> {
  const { random, store, open } = caller
  const [known] = open.splice(random.between(0, Math.max(0, open.length - 1)), 1)
  if (!known) return reserve(caller, userId)
  if (random.chance(0.2)) return record(caller, known.reservationId, () => store.release(known))
  const charge = chargeOf(randomAmount(random, 6_000_000))
  const answer = await record(caller, known.reservationId, () => store.settle({ ...known, charge }))
  if (answer.ok) recordTransaction(caller, answer.value)
  return answer
}

async function capture(caller: Caller, userId: string): Promise<unknown> {
  const { random, store, open } = caller
  if (open.length === 0) return reserve(caller, userId)
  const input = {
    ...random.pick(open),
    captureId: random.uuid(),
    charge: chargeOf(randomAmount(random, 2_000_000)),
    ...(random.chance(0.5) ? { extend: { amount: '1', minimumAmount: '0.1', ttlSeconds: 300 } } : {}),
  }
  const answer = await record(caller, input.captureId, () => store.capture(input))
  if (answer.ok) recordTransaction(caller, answer.value)
  return answer
}

async function extend(caller: Caller, userId: string): Promise<unknown> {
  const { random, store, open } = caller
  if (open.length === 0) return reserve(caller, userId)
  const input = { ...random.pick(open), extensionId: random.uuid(), amount: '1', ttlSeconds: 300 }
  return record(caller, input.extensionId, () => store.extend(input))
}

async function grant(caller: Caller, userId: string): Promise<unknown> {
  const { random, store } = caller
  const input = {
    userId,
    transactionId: random.uuid(),
    amount: randomAmount(random, 6_000_000),
    bucket: random.pick(['plan', 'add-on'] as const),
    source: 'promo',
    priority: random.between(0, 200),
  } as const
  const answer = await record(caller, input.transactionId, () => store.grant(input))
  if (answer.ok) recordTransaction(caller, answer.value)
  return answer
}

async function adjust(caller: Caller, userId: string): Promise<unknown> {
  const { random, store } = caller
  const amount = amountOf(BigInt(random.pick([-1, 1]) * random.between(1, 2_000_000)))
  const input = { userId, transactionId: random.uuid(), amount, reason: 'traffic' }
  const answer = await record(caller, input.transactionId, () => store.adjust(input))
  if (answer.ok) recordTransaction(caller, answer.value)
  return answer
}

async function correct(caller: Caller, userId: string, operation: 'refund' | 'reverse'): Promise<unknown> {
  const { random, store } = caller
  const originals = operation === 'refund' ? caller.usages : caller.grants
  if (originals.length === 0) return grant(caller, userId)
  const part = random.chance(0.5) ? { amount: '0.1' } : {}
  const input = { ...random.pick(originals), transactionId: random.uuid(), reason: 'traffic', ...part }
  const answer = await record(caller, input.transactionId, () => store[operation](input))
  if (answer.ok) recordTransaction(caller, answer.value)
  return answer
}

/** An amount of up to so many millionths, mostly with six decimal places. */
function randomAmount(random: Random, most: number): string {
  return amountOf(BigInt(random.between(1, most)))
}

/** Makes a call, repeats it until it is answered, and adds the answer to the history. */
async function record<Value>(
  caller: Caller,
  id: string | undefined,
  call: () => Promise<Value>,
): Promise<Answer<Value>> {
  let tries = 0
  const counted = (): Promise<Value> => {
    tries += 1
    return call()
  }
  const answer = await retryUntilAnswered(counted, caller.attempts)
  const { results, unknown, refused, attempts } = caller.history
  attempts.total += tries
  attempts.most = Math.max(attempts.most, tries)
  const name = answer.ok ? 'ok' : answer.code
  results[name] = (results[name] ?? 0) + 1
  if (id !== undefined && !answer.ok) {
    refused.add(id)
    if (['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE', 'STORE_BUSY'].includes(answer.code)) unknown.add(id)
  }
  return answer
}

function recordTransaction(caller: Caller, result: { transaction: TransactionResult['transaction'] | null }): void {
  const { transaction } = result
  if (transaction === null) return
  const { id, userId, type, amount } = transaction
  caller.history.transactions.set(id, { userId, amount: millionths(amount) })
  if (type === 'usage' && amount !== '0') caller.usages.push({ userId, originalId: id })
  if (type === 'grant') caller.grants.push({ userId, originalId: id })
}
