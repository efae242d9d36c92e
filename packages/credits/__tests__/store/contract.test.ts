import { type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { describeCreditStore } from '../../src/testing/index.ts'
import { openPool, serviceClient, sqlHarness } from './sql-harness.ts'

let stack: Stack
let admin: pg.Pool
let direct: pg.Pool

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
  direct = openPool(stack.dbUrl, 5)
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
