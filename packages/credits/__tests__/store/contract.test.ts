import { type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { describeCreditStore } from '../../src/testing/index.ts'
import { openPool } from '../kit/database.ts'
import { serviceClient } from '../kit/stack.ts'
import { sqlHarness } from '../kit/store-harness.ts'

/** The contract of the store port on real drivers, over PostgREST and over direct connections. */

let stack: Stack
let admin: pg.Pool
let direct: pg.Pool
let postgresJs: postgres.Sql

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
  direct = openPool(stack.dbUrl, { max: 5 })
  postgresJs = postgres(stack.dbUrl, { max: 5 })
})
afterAll(async () => {
  await postgresJs?.end()
  await direct?.end()
  await admin?.end()
  await stack?.stop()
})

const runner = { describe, it }

describeCreditStore('supabaseStore', () => sqlHarness(supabaseStore(serviceClient(stack)), admin), runner)
describeCreditStore('postgresStore over pg', () => sqlHarness(postgresStore(direct), admin), runner)
describeCreditStore(
  'postgresStore over pg with prepared statements',
  () => sqlHarness(postgresStore(direct, { prepare: true }), admin),
  runner,
)
describeCreditStore(
  'postgresStore over postgres.js',
  () => sqlHarness(postgresStore({ query: (text, values) => postgresJs.unsafe(text, values) }), admin),
  runner,
)
describeCreditStore(
  'postgresStore over postgres.js with prepared statements',
  () =>
    sqlHarness(postgresStore({ query: (text, values) => postgresJs.unsafe(text, values, { prepare: true }) }), admin),
  runner,
)
