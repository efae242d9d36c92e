import type { Credits, CreditsOptions } from '../../src/credits/types.ts'
import { createCredits } from '../../src/credits.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { createTestDatabase, openPool, signUp, type TestDatabase } from './database.ts'

export const SONNET = 'anthropic/claude-sonnet-4.5'

/** A database with the use cases over it. Every query is recorded. */
export interface TestCredits extends TestDatabase {
  store: CreditStore
  /** Names of the functions that were called at the database, in order. */
  queries: string[]
  credits: Credits
  /** Another instance over the same store: prices are cached for a short life. */
  make(options?: Omit<CreditsOptions, 'store'>): Credits
  /** A user with 50 credits, and as many add-on credits as are asked for. */
  signUp(addOnCredits?: string): Promise<string>
}

export async function createTestCredits(): Promise<TestCredits> {
  const database = await createTestDatabase()
  const pool = openPool(database.dbUrl, { max: 4 })
  const queries: string[] = []
  const store = postgresStore({
    query(text, values) {
      queries.push(/public\.(credits_\w+)/.exec(text)?.[1] ?? text)
      return pool.query(text, values)
    },
  })
  const make = (options: Omit<CreditsOptions, 'store'> = {}) => createCredits({ store, ...options })
  return {
    ...database,
    store,
    queries,
    credits: make(),
    make,
    async signUp(addOnCredits) {
      const userId = await signUp(database.admin)
      const transactionId = crypto.randomUUID()
      if (addOnCredits !== undefined)
        await store.grant({ transactionId, userId, amount: addOnCredits, source: 'promo', bucket: 'add-on' })
      return userId
    },
    async close() {
      await Promise.all([database.close(), pool.end()])
    },
  }
}

/** Reserves for a model and settles with this usage. */
export async function callModel(
  credits: Credits,
  call: { userId: string; model: string; feature?: string; inputTokens?: number; outputTokens?: number },
) {
  const { userId, model, feature, inputTokens = 2000, outputTokens = 1000 } = call
  const { reservationId } = await credits.reserve({ userId, model, feature, amount: '10' })
  const { transaction } = await credits.settle({ userId, reservationId, usage: { inputTokens, outputTokens } })
  if (transaction === null) throw new Error('a settle with a usage gave no transaction')
  return transaction
}
