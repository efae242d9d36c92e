import useSWR from 'swr'
import type { CreditError } from '../core/errors.ts'
import type { BalanceBody } from '../http/index.ts'
import { fetchJson } from './fetch-json.ts'

/** Options of {@link useCredits}. */
export interface UseCreditsOptions {
  /** False while nobody is signed in: nothing is fetched. Default true. */
  enabled?: boolean | undefined
  /** A balance the server already knew while rendering, shown until the first answer. */
  initialBalance?: BalanceBody | undefined
  /** Where the API is mounted. Default `/api`. */
  basePath?: string | undefined
}

/** Result of {@link useCredits}. */
export interface UseCreditsResult {
  /** Decimal strings of credits; undefined until the first answer. */
  balance: BalanceBody | undefined
  error: CreditError | undefined
  isLoading: boolean
  /** Reads the balance again, for instance after an answer was charged. */
  refresh: () => Promise<void>
}

/**
 * The signed-in user's balance, shared by every component that asks for it, read again when the window
 * gets the focus back and when anyone calls `refresh`.
 *
 * @example
 * ```tsx
 * const { balance, refresh } = useCredits()
 * const chat = useChat({ onFinish: refresh })
 * return <span>{balance?.available} credits</span>
 * ```
 */
export function useCredits(options: UseCreditsOptions = {}): UseCreditsResult {
  const { enabled = true, initialBalance, basePath = '/api' } = options
  const { data, error, isLoading, mutate } = useSWR<BalanceBody, CreditError>(
    enabled ? `${basePath}/credits/balance` : null,
    fetchJson,
    initialBalance ? { fallbackData: initialBalance } : {},
  )
  return {
    balance: data,
    error,
    isLoading,
    refresh: async () => {
      await mutate()
    },
  }
}
