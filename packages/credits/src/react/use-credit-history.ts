import useSWRInfinite from 'swr/infinite'
import type { CreditError } from '../core/errors.ts'
import type { HistoryBody, TransactionBody } from '../http/index.ts'
import { fetchJson } from './fetch-json.ts'

/** Options of {@link useCreditHistory}. */
export interface UseCreditHistoryOptions {
  /** Transactions a page, 1 to 200. Default 50. */
  limit?: number | undefined
  type?: TransactionBody['type'] | undefined
  /** ISO time, inclusive. */
  from?: string | undefined
  /** ISO time, exclusive. */
  to?: string | undefined
  /** Where the API is mounted. Default `/api`. */
  basePath?: string | undefined
}

/** Result of {@link useCreditHistory}. */
export interface UseCreditHistoryResult {
  /** All pages read so far, newest first. */
  transactions: TransactionBody[]
  error: CreditError | undefined
  /** Nothing has been read yet. */
  isLoading: boolean
  /** A further page is on its way. */
  isLoadingMore: boolean
  hasMore: boolean
  loadMore: () => Promise<void>
  refresh: () => Promise<void>
}

/**
 * The signed-in user's transactions, a page at a time.
 *
 * @example
 * ```tsx
 * const { transactions, hasMore, loadMore } = useCreditHistory({ limit: 20 })
 * ```
 */
export function useCreditHistory(options: UseCreditHistoryOptions = {}): UseCreditHistoryResult {
  const { limit = 50, type, from, to, basePath = '/api' } = options
  const url = (_index: number, previous: HistoryBody | null) => {
    if (previous && previous.nextCursor === null) return null
    const query = new URLSearchParams({ limit: String(limit) })
    for (const [name, value] of Object.entries({ type, from, to, cursor: previous?.nextCursor })) {
      if (value) query.set(name, value)
    }
    return `${basePath}/credits/history?${query}`
  }
  const { data, error, isLoading, size, setSize, mutate } = useSWRInfinite<HistoryBody, CreditError>(url, fetchJson)
  const pages = data ?? []
  return {
    transactions: pages.flatMap((page) => page.data),
    error,
    isLoading,
    isLoadingMore: !error && size > pages.length && pages.length > 0,
    hasMore: typeof pages.at(-1)?.nextCursor === 'string',
    loadMore: async () => {
      await setSize(pages.length + 1)
    },
    refresh: async () => {
      await mutate()
    },
  }
}
