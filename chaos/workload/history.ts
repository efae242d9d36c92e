import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import type { ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { chargeOf, countBy, millionths, retryUntilAnswered } from './operations.ts'
import { runConcurrently } from './run-concurrently.ts'

/** What the store answered to the callers. The ledger has to agree with it afterwards. */
export interface TrafficHistory {
  /** Transactions that were acknowledged, by id. */
  transactions: Map<string, { userId: string; amount: bigint }>
  /** Ids of reservations that were acknowledged. */
  reservations: Set<string>
  /** Ids of calls without a final answer. Each may have happened wholly or not at all. */
  unknown: Set<string>
  /** Ids of calls that were refused. */
  refused: Set<string>
  /** How often each result came. */
  results: Record<string, number>
  /** Calls with all their repetitions, and the most that one operation took. */
  attempts: { total: number; most: number }
}

/** An empty history. */
export function newHistory(): TrafficHistory {
  return {
    transactions: new Map(),
    reservations: new Set(),
    unknown: new Set(),
    refused: new Set(),
    results: {},
    attempts: { total: 0, most: 0 },
  }
}

/** Results that a correct ledger may give to this traffic. */
const EXPECTED = new Set([
  'ok',
  'INSUFFICIENT_CREDITS',
  'RESERVATION_CLOSED',
  'REFUND_EXCEEDS_ORIGINAL',
  'LIMIT_EXCEEDED',
  'OUTCOME_UNKNOWN',
  'STORE_UNAVAILABLE',
  'STORE_BUSY',
])

/** Sources of transactions that the ledger, or the preparation of a scenario, writes by itself. */
const WRITTEN_BY_ITSELF = new Set(['signup', 'plan', 'purchase'])

interface StoredTransaction {
  id: string
  account_id: string
  amount: string
  type: string
  source: string
}

/** I9: what was acknowledged is stored as it was answered, and nothing else is. */
export async function compareWithHistory(
  context: ScenarioContext,
  database: TestDatabase,
  history: TrafficHistory,
): Promise<void> {
  const { rows } = await database.admin.query<StoredTransaction>(
    'select id, account_id, amount::text, type, source from public.credit_transactions',
  )
  const stored = new Map(rows.map((row) => [row.id, row]))
  for (const [id, { userId, amount }] of history.transactions) {
    const row = stored.get(id)
    const same = row !== undefined && millionths(row.amount) === amount && row.account_id === userId
    context.check(same, 'I9 an acknowledged transaction is lost or changed', { id, amount, row })
  }
  for (const row of rows) {
    const known =
      history.transactions.has(row.id) ||
      history.unknown.has(row.id) ||
      row.type === 'expiry' ||
      (row.type === 'grant' && WRITTEN_BY_ITSELF.has(row.source))
    context.check(known, 'I9 a transaction that no caller asked for', row)
  }
  const { rows: reservations } = await database.admin.query<{ id: string }>('select id from public.credit_reservations')
  const reserved = new Set(reservations.map(({ id }) => id))
  for (const id of history.reservations) {
    context.check(reserved.has(id), 'I9 an acknowledged reservation is lost', { id })
  }
  const unexpected = Object.entries(history.results).filter(([code]) => !EXPECTED.has(code))
  context.check(unexpected.length === 0, 'a refusal that this traffic cannot cause', unexpected)
}

/** I14: every account can be granted to, reserve and settle afterwards. */
export async function checkUsable(
  context: ScenarioContext,
  store: CreditStore,
  accounts: readonly string[],
): Promise<void> {
  const { random } = context
  await runConcurrently({ random, times: accounts.length, width: 8 }, async (own, index) => {
    const userId = accounts[index] ?? ''
    const grant = {
      transactionId: own.uuid(),
      userId,
      amount: '1000',
      source: 'purchase',
      bucket: 'add-on',
    } as const
    const reservation = { userId, reservationId: own.uuid() }
    const answers = [
      await retryUntilAnswered(() => store.grant(grant)),
      await retryUntilAnswered(() => store.reserve({ ...reservation, amount: '1', ttlSeconds: 60 })),
      await retryUntilAnswered(() => store.settle({ ...reservation, charge: chargeOf('1') })),
    ]
    const usable = answers.every(({ ok }) => ok)
    context.check(usable, 'I14 an account cannot be used any more', { userId, ...countBy(answers) })
  })
}
