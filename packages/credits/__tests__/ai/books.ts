import type { CreditsContext, CreditsProblem } from '../../src/ai/index.ts'
import { type Credits, createCredits, type MemoryStore, memoryStore, type Transaction } from '../../src/index.ts'
import type { CreditStore } from '../../src/store/port.ts'

/** 1 USD per million tokens in, 2 out; at 60 % margin 0.00016 and 0.00032 credits a token. */
export const RATE = {
  modelId: 'openai/gpt-test',
  pricing: { input: '0.000001', output: '0.000002' },
  maxOutputTokens: 4096,
}

export interface Books {
  store: MemoryStore
  credits: Credits
  userId: string
  context: CreditsContext
  /** Names of the store calls made, in order. */
  trips: string[]
  problems: { error: unknown; problem: CreditsProblem }[]
  charges(): Promise<Transaction[]>
  balance(): Promise<{ available: string; reserved: string }>
}

/** A user with credits in a memory store whose round trips are counted. */
export function books(
  options: { available?: string; context?: Partial<CreditsContext>; rates?: object[] } = {},
): Books {
  const { available = '1000' } = options
  const store = memoryStore({ rates: [RATE, ...((options.rates ?? []) as (typeof RATE)[])], signupCredits: available })
  const { userId } = store.createAccount()
  const trips: string[] = []
  const credits = createCredits({ store: counted(store, trips) })
  const problems: Books['problems'] = []
  return {
    store,
    credits,
    userId,
    trips,
    problems,
    context: {
      credits,
      userId,
      feature: 'test',
      onError: (error, problem) => problems.push({ error, problem }),
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
