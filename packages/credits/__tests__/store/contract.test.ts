import { type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { describeCreditStore } from '../../src/testing.ts'
import { serviceClient, sqlHarness } from './sql-harness.ts'

let stack: Stack
let admin: pg.Pool
let direct: pg.Pool

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = new pg.Pool({ connectionString: stack.adminDbUrl, max: 2 })
  direct = new pg.Pool({ connectionString: stack.dbUrl, max: 5 })
})
afterAll(async () => {
  await direct?.end()
  await admin?.end()
  await stack?.stop()
})

describeCreditStore('supabaseStore', () => sqlHarness(supabaseStore(serviceClient(stack)), admin), { describe, it })
describeCreditStore('postgresStore', () => sqlHarness(postgresStore(direct), admin), { describe, it })
describeCreditStore('postgresStore, prepared', () => sqlHarness(postgresStore(direct, { prepare: true }), admin), {
  describe,
  it,
})
