import { CreditError } from '../core/errors.ts'
import type { CreditStore } from './port.ts'
import type { SqlArguments } from './sql/functions.ts'
import { type RetryOptions, withRetry } from './sql/retry.ts'
import { sqlStore } from './sql/sql-store.ts'

/**
 * The part of a supabase-js client that is used. Any client fits, also one with a `Database` type: such a client takes
 * only the names that it knows, hence `never`.
 */
export interface RpcClient {
  rpc(name: never, args: never): unknown
}

interface RpcResponse {
  data: unknown
  error: { code?: string; message: string; details?: string | null; hint?: string | null } | null
  status: number
}

interface Rpc {
  rpc(name: string, args: object): { abortSignal(signal: AbortSignal): PromiseLike<RpcResponse> }
}

/** Options of {@link supabaseStore}. */
export interface SupabaseStoreOptions extends RetryOptions {}

/**
 * The store over supabase-js, through PostgREST. Use a client made with the **secret** (service role) key, on the
 * server only: the functions that move credits are closed to every other key.
 *
 * supabase-js never repeats an `rpc`; this store does, when the outcome of a call is unknown, with the same ids.
 *
 * @throws CreditError `CONFIG_INVALID` without a client; its methods throw what the database refuses, `CONFIG_INVALID`
 * for a wrong key or missing migrations, `STORE_BUSY`, `STORE_UNAVAILABLE`, `OUTCOME_UNKNOWN`
 * @example
 * ```ts
 * import { createClient } from '@supabase/supabase-js'
 * const client = createClient(url, secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
 * const credits = createCredits({ store: supabaseStore(client) })
 * ```
 */
export function supabaseStore(client: RpcClient, options: SupabaseStoreOptions = {}): CreditStore {
  const api = client as unknown as Rpc | undefined
  if (typeof api?.rpc !== 'function') {
    throw new CreditError({ code: 'CONFIG_INVALID', message: 'supabaseStore: expected a supabase-js client' })
  }
  return sqlStore((sql, args) =>
    withRetry(sql, options, async (signal) => {
      const { data, error, status } = await api.rpc(sql.name, withoutUndefined(args)).abortSignal(signal)
      if (error !== null) throw { ...error, message: error.message, status }
      return data
    }),
  )
}

/** Drops undefined arguments so that the defaults of SQL apply; null would override them. */
function withoutUndefined(args: SqlArguments): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined))
}
