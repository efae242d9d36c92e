/** Compiled, never run: the drivers that apps use fit the structural types of both adapters, without a cast. */
import type { SupabaseClient } from '@supabase/supabase-js'
import type pg from 'pg'
import type postgres from 'postgres'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'

interface Database {
  public: {
    Tables: Record<string, never>
    Views: Record<string, never>
    Functions: { credits_get_balance: { Args: { p_account_id: string }; Returns: unknown } }
  }
}

export function accepts(drivers: {
  untyped: SupabaseClient
  typed: SupabaseClient<Database>
  pool: pg.Pool
  client: pg.Client
  sql: postgres.Sql
}): void {
  supabaseStore(drivers.untyped)
  supabaseStore(drivers.typed, { timeoutMs: 1000 })
  postgresStore(drivers.pool)
  postgresStore(drivers.pool, { prepare: true, retries: 0 })
  postgresStore(drivers.client)
  postgresStore({ query: (text, values) => drivers.sql.unsafe(text, values) })
  postgresStore({ query: (text, values) => drivers.sql.unsafe(text, values, { prepare: true }) })
}
