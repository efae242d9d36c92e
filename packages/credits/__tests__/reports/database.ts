import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import type { Credits, CreditsOptions } from '../../src/credits/types.ts'
import { createCredits } from '../../src/credits.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { openPool, signUp } from '../store/sql-harness.ts'

/** A database with the migrations and the seeded rates, and the use cases over it with every query written down. */
export interface TestDatabase {
  admin: pg.Pool
  dbUrl: string
  store: CreditStore
  /** Names of the functions that were called at the database, in order. */
  queries: string[]
  credits: Credits
  make(options?: Omit<CreditsOptions, 'store'>): Credits
  signUp(credits?: string): Promise<string>
  close(): Promise<void>
}

let stack: Promise<Stack> | undefined

export async function openTestDatabase(): Promise<TestDatabase> {
  stack ??= startStack({ ephemeral: true })
  const database: ClonedDatabase = await (await stack).cloneDatabase()
  const admin = openPool(database.adminDbUrl)
  const pool = openPool(database.dbUrl, 4)
  const queries: string[] = []
  const store = postgresStore({
    query(text, values) {
      queries.push(/public\.(credits_\w+)/.exec(text)?.[1] ?? text)
      return pool.query(text, values)
    },
  })
  const make = (options: Omit<CreditsOptions, 'store'> = {}) => createCredits({ store, ...options })
  return {
    admin,
    dbUrl: database.dbUrl,
    store,
    queries,
    credits: make(),
    make,
    async signUp(more) {
      const userId = await signUp(admin)
      if (more !== undefined)
        await store.grant({
          transactionId: crypto.randomUUID(),
          userId,
          amount: more,
          source: 'promo',
          bucket: 'add-on',
        })
      return userId
    },
    async close() {
      await Promise.all([admin.end(), pool.end()])
    },
  }
}

export async function closeStack(): Promise<void> {
  await (await stack)?.stop()
  stack = undefined
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

export const SONNET = 'anthropic/claude-sonnet-4.5'
