import { randomUUID } from 'node:crypto'
import { type Stack, startStack } from '@layers/local-stack'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import pg from 'pg'

/** A person of a story. */
export interface Person {
  id: string
  email: string
  password: string
  /** Signed in as this person: what their browser may do. */
  client: SupabaseClient
}

/** A stack of its own with the three views of it that stories need. */
export interface World {
  stack: Stack
  /** The server's client, with the secret key. */
  service: SupabaseClient
  /** The database owner, for what only an operator in the SQL editor can do. */
  sql<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>
  signUp(): Promise<Person>
  admin(): Promise<Person>
  end(): Promise<void>
}

const OPTIONS = { auth: { persistSession: false, autoRefreshToken: false } }

export async function newWorld(): Promise<World> {
  const stack = await startStack({ ephemeral: true })
  const pool = new pg.Pool({ connectionString: stack.dbUrl, max: 4 })
  // Ending the stack also ends idle connections.
  pool.on('error', () => undefined)
  const service = createClient(stack.url, stack.secretKey, OPTIONS)
  const signUp = async (): Promise<Person> => {
    const client = createClient(stack.url, stack.publishableKey, OPTIONS)
    const email = `${randomUUID()}@example.test`
    const password = 'a-long-password'
    const { data, error } = await client.auth.signUp({ email, password })
    if (error || !data.user) throw error ?? new Error('no user')
    return { id: data.user.id, email, password, client }
  }
  return {
    stack,
    service,
    signUp,
    sql: async (text, values) => (await pool.query(text, values)).rows,
    admin: async () => {
      const person = await signUp()
      const { error } = await service.from('profiles').update({ role: 'admin' }).eq('user_id', person.id)
      if (error) throw error
      return person
    },
    end: async () => {
      await pool.end()
      await stack.stop()
    },
  }
}
