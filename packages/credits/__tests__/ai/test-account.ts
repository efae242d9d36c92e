import { type CreditsContext, type CreditsReceipt, creditsReceipt } from '../../src/ai/index.ts'
import {
  type Credits,
  createCredits,
  type ErrorContext,
  type MemoryStore,
  memoryStore,
  type Transaction,
} from '../../src/index.ts'
import type { CreditStore } from '../../src/store/port.ts'

/** 1 USD per million tokens in, 2 out; at 60 % margin 0.00016 and 0.00032 credits a token. */
export const RATE = {
  modelId: 'openai/gpt-test',
  pricing: { input: '0.000001', output: '0.000002' },
  maxOutputTokens: 4096,
}

/** A user of a memory store. */
export interface TestAccount {
  store: MemoryStore
  credits: Credits
  userId: string
  context: CreditsContext
  /** Names of the store calls made, in order. */
  trips: string[]
  /** What `onError` received. */
  errors: { error: unknown; context: ErrorContext }[]
  charges(): Promise<Transaction[]>
  balance(): Promise<{ available: string; reserved: string }>
}

/** The final receipt of a result. */
export async function settledReceipt(result: unknown): Promise<CreditsReceipt | undefined> {
  return creditsReceipt(result)?.settled
}

/** A user with credits in a memory store whose round trips are counted. */
export function testAccount(
  options: { available?: string; context?: Partial<CreditsContext>; rates?: object[] } = {},
): TestAccount {
  const { available = '1000' } = options
  const store = memoryStore({ rates: [RATE, ...((options.rates ?? []) as (typeof RATE)[])], signupCredits: available })
  const { userId } = store.createAccount()
  const trips: string[] = []
  const credits = createCredits({ store: counted(store, trips) })
  const errors: TestAccount['errors'] = []
  return {
    store,
    credits,
    userId,
    trips,
    errors,
    context: {
      credits,
      userId,
      feature: 'test',
      onError: (error, context) => errors.push({ error, context }),
      ...options.context,
    },
    async charges() {
      const { data } = await credits.getHistory({ userId, type: 'usage', limit: 200 })
      return data.reverse()
    },
    async balance() {
      const { available: left, reserved } = await credits.getBalance({ userId })
      return { available: left, reserved }
    },
  }
}

const WRITES = ['reserve', 'extend', 'capture', 'settle', 'release'] as const

function counted(store: MemoryStore, trips: string[]): CreditStore {
  const wrapped: CreditStore = { ...store }
  for (const name of WRITES) {
    const write = store[name] as (input: unknown) => Promise<unknown>
    Object.assign(wrapped, {
      [name]: (input: unknown) => {
        trips.push(name)
        return write(input)
      },
    })
  }
  return wrapped
}
