/** Compiled, never run: the drivers that people bring fit the structural types of both adapters. */
import type { SupabaseClient } from '@supabase/supabase-js'
import type pg from 'pg'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'

interface Database {
  public: {
    Tables: Record<string, never>
    Views: Record<string, never>
    Functions: { credits_get_balance: { Args: { p_user_id: string }; Returns: unknown } }
  }
}
interface PostgresJs {
  unsafe(text: string, values: unknown[], options: { prepare: boolean }): PromiseLike<readonly unknown[]>
}

export function accepts(drivers: {
  untyped: SupabaseClient
  typed: SupabaseClient<Database>
  pool: pg.Pool
  client: pg.Client
  sql: PostgresJs
}): void {
  supabaseStore(drivers.untyped)
  supabaseStore(drivers.typed, { timeoutMs: 1000 })
  postgresStore(drivers.pool)
  postgresStore(drivers.pool, { prepare: true, retries: 0 })
  postgresStore(drivers.client)
  postgresStore({ query: (text, values) => drivers.sql.unsafe(text, values, { prepare: true }) })
}
