import { type Stack, startStack } from '@layers/local-stack'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type pg from 'pg'
import { openPool } from './database.ts'

/** A user who has signed up through the auth server. */
export interface TestUser {
  id: string
  email: string
  password: string
  /** Signed in as this user: what their browser may do. */
  client: SupabaseClient
}

/** A whole stack, with what a server and an operator have of it. */
export interface TestStack {
  stack: Stack
  /** The server's client, with the secret key. */
  service: SupabaseClient
  /** Superuser: what the code under test never is. */
  admin: pg.Pool
  /** A statement of the database owner, for what an operator does in the SQL editor. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>
  createUser(): Promise<TestUser>
  /** A user who may change margins. */
  createAdmin(): Promise<TestUser>
  stop(): Promise<void>
}

const STATELESS = { auth: { persistSession: false, autoRefreshToken: false } }

/** Starts a stack of its own: Postgres, PostgREST, the auth server and the model gateway. */
export async function createTestStack(): Promise<TestStack> {
  const stack = await startStack({ ephemeral: true })
  const admin = openPool(stack.adminDbUrl)
  const owner = openPool(stack.dbUrl, { max: 4 })
  const service = serviceClient(stack)
  const createUser = () => signUpThroughAuth(stack)
  return {
    stack,
    service,
    admin,
    sql: async (text, values) => (await owner.query(text, values)).rows,
    createUser,
    async createAdmin() {
      const user = await createUser()
      const { error } = await service.from('profiles').update({ role: 'admin' }).eq('user_id', user.id)
      if (error) throw error
      return user
    },
    async stop() {
      await Promise.all([admin.end(), owner.end()])
      await stack.stop()
    },
  }
}

/** Signs a user up as a browser does. The auth server of the stack confirms every address at once. */
async function signUpThroughAuth(stack: Stack): Promise<TestUser> {
  const client = createClient(stack.url, stack.publishableKey, STATELESS)
  const email = `${crypto.randomUUID()}@example.test`
  const password = 'a-long-password'
  const { data, error } = await client.auth.signUp({ email, password })
  if (error || !data.user) throw error ?? new Error('no user')
  return { id: data.user.id, email, password, client }
}

/** A supabase-js client that may move credits. */
export function serviceClient(stack: Pick<Stack, 'url' | 'secretKey'>): SupabaseClient {
  return createClient(stack.url, stack.secretKey, STATELESS)
}

/** A supabase-js client that talks to a PostgREST without the front door of a stack. */
export function restClient({ serviceRoleKey }: Pick<Stack, 'serviceRoleKey'>, { url }: { url: string }) {
  const direct: typeof fetch = (input, init) => fetch(String(input).replace('/rest/v1', ''), init)
  return createClient(url, serviceRoleKey, { ...STATELESS, global: { fetch: direct } })
}
