import { type PatienceOptions, persistently } from './attempts.ts'
import type { CreditStore } from './port.ts'
import { type SqlArguments, type SqlCall, sqlStore } from './sql-store.ts'

/**
 * The part of a supabase-js client that is used; any client fits, whatever its `Database` type: a typed one only
 * takes the names it knows, hence `never`.
 */
export interface RpcClient {
  rpc(name: never, args: never): unknown
}

interface RpcAnswer {
  data: unknown
  error: { code?: string; message: string; details?: string | null; hint?: string | null } | null
  status: number
}

interface Rpc {
  rpc(name: string, args: object): { abortSignal(signal: AbortSignal): PromiseLike<RpcAnswer> }
}

/** Options of {@link supabaseStore}. */
export interface SupabaseStoreOptions extends PatienceOptions {}

/**
 * The store over supabase-js, through PostgREST. Use a client made with the **secret** (service role) key, on the
 * server only: the functions that move credits are closed to every other key.
 *
 * supabase-js never repeats an `rpc`; this store does, when an answer was lost, with the same ids.
 *
 * @throws CreditError (from its methods) what the database refuses, `CONFIG_INVALID` for a wrong key or missing
 * migrations, `STORE_BUSY`, `STORE_UNAVAILABLE`, `OUTCOME_UNKNOWN`
 * @example
 * ```ts
 * import { createClient } from '@supabase/supabase-js'
 * const client = createClient(url, secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
 * const credits = createCredits({ store: supabaseStore(client) })
 * ```
 */
export function supabaseStore(client: RpcClient, options: SupabaseStoreOptions = {}): CreditStore {
  const api = client as unknown as Rpc
  const call: SqlCall = ({ name, kind }, args) => {
    const given = withoutUndefined(args)
    return persistently(kind, options, async (signal) => {
      const { data, error, status } = await api.rpc(name, given).abortSignal(signal)
      if (error !== null) throw { ...error, message: error.message, status }
      return data
    })
  }
  return sqlStore(call)
}

/** A parameter that is left out has its default; one that is null has not. */
function withoutUndefined(args: SqlArguments): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined))
}
