import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { withClient } from '../src/postgres/connect.ts'
import { migrate, seed } from '../src/postgres/migrate.ts'
import { client, FIXTURES, freshEmail, PASSWORD, testStack } from './support/stack.ts'

let stack: Stack
let folder = ''
beforeAll(async () => {
  stack = await testStack()
})
afterAll(() => stack?.stop())
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'migrations-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const target = (dbUrl: string) => ({ port: Number(new URL(dbUrl).port), database: new URL(dbUrl).pathname.slice(1) })
const query = (dbUrl: string, user: string, sql: string) =>
  withClient({ ...target(dbUrl), user }, async (db) => (await db.query(sql)).rows)

describe('migrations', () => {
  const write = (name: string, sql: string) => writeFileSync(path.join(folder, name), sql)

  it('are recorded the way the Supabase CLI does, and applied once', async () => {
    const { dbUrl, drop } = await stack.cloneDatabase()
    const history = 'select version, name from supabase_migrations.schema_migrations order by 1'
    expect(await query(dbUrl, 'postgres', history)).toEqual([{ version: '20260101000000', name: 'notes' }])
    expect(await migrate(target(dbUrl), FIXTURES.migrationsDir)).toEqual([])
    await drop()
  })

  it.each([
    ['a syntax error', 'select 1;\n\ncreate tabel x ();', /^1_bad\.sql:3: syntax error at or near "tabel" \(42601\)/],
    [
      'a name that does not exist',
      'select 1;\nselect *\nfrom nowhere;',
      /^1_bad\.sql:3: relation "nowhere" does not exist \(42P01\)/,
    ],
    [
      'a row that breaks a rule',
      'create table t (id int check (id > 0));\n-- a; b\ninsert into t values (1);\ninsert into t\nvalues (-1);',
      /^1_bad\.sql:4: new row .* violates check constraint/,
    ],
    [
      'a failing function',
      'create function f() returns void language plpgsql as $$\nbegin\n  perform 1/0;\nend $$;\nselect f();',
      /^1_bad\.sql:5: division by zero \(22012\)[\s\S]*line 3 at PERFORM/,
    ],
  ])('that fail by %s name file and line, and leave nothing behind', async (_what, sql, message) => {
    const { dbUrl, drop } = await stack.cloneDatabase()
    write('1_bad.sql', sql)
    await expect(migrate(target(dbUrl), folder)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringMatching(message),
      hint: expect.stringContaining(path.join(folder, '1_bad.sql')),
    })
    expect(await query(dbUrl, 'postgres', "select from pg_tables where tablename = 't'")).toEqual([])
    await drop()
  })

  it('run as the role that Supabase uses, which is no superuser and may not create in auth', async () => {
    const { dbUrl, drop } = await stack.cloneDatabase()
    write('1_bad.sql', 'create table auth.mine ();')
    await expect(migrate(target(dbUrl), folder)).rejects.toThrow(/permission denied for schema auth \(42501\)/)
    await drop()
  })
})

describe('the seed', () => {
  it('runs when it is new or has changed, and not otherwise', async () => {
    const { dbUrl, drop } = await stack.cloneDatabase()
    expect(await seed(target(dbUrl), FIXTURES.seedFile)).toBe(false)
    const changed = path.join(folder, 'seed.sql')
    cpSync(FIXTURES.seedFile, changed)
    writeFileSync(changed, 'insert into public.seeded values (2) on conflict do nothing;')
    expect(await seed(target(dbUrl), changed)).toBe(true)
    expect(await seed(target(dbUrl), changed)).toBe(false)
    expect(await query(dbUrl, 'postgres', 'select id from public.seeded order by 1')).toEqual([{ id: 1 }, { id: 2 }])
    await drop()
  })
})

describe('the database', () => {
  it('gives nothing to anybody by default, as hosted projects since October 2026', async () => {
    await query(stack.dbUrl, 'postgres', 'create table public.bare (id int)')
    await new Promise((resolve) => setTimeout(resolve, 600))
    for (const key of [stack.publishableKey, stack.secretKey]) {
      expect((await client(stack, key).from('bare').select()).error?.code).toBe('42501')
    }
  })

  it('shows new functions at the REST API without a restart', async () => {
    await query(
      stack.dbUrl,
      'postgres',
      `create function public.fresh() returns int language sql set search_path = '' as 'select 7';
       grant execute on function public.fresh() to anon`,
    )
    let answer: unknown
    for (let attempt = 0; attempt < 50 && answer === undefined; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      answer = (await client(stack, stack.publishableKey).rpc('fresh')).data ?? undefined
    }
    expect(answer).toBe(7)
  })
})

describe('a copy', () => {
  it('has the migrations, the seed and users of its own', async () => {
    const copy = await stack.cloneDatabase({ api: true })
    const email = freshEmail()
    const { data } = await client(copy, stack.publishableKey).auth.signUp({ email, password: PASSWORD })
    expect(data.session).not.toBeNull()
    expect((await client(copy, stack.secretKey).from('notes').select('body')).data).toEqual([{ body: 'welcome' }])
    expect(
      (await client(stack, stack.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })).error,
    ).not.toBeNull()
    await copy.drop()
    await expect(query(copy.dbUrl, 'postgres', 'select 1')).rejects.toThrow(/does not exist/)
  })

  it('can be made many times at once', async () => {
    const copies = await Promise.all(Array.from({ length: 6 }, () => stack.cloneDatabase()))
    expect(new Set(copies.map((copy) => copy.name)).size).toBe(6)
    await Promise.all(copies.map((copy) => copy.drop()))
  })
})

describe('a crash of the server', () => {
  it('can be staged, and the stack goes on after it', async () => {
    await stack.database.end('crash')
    expect(stack.database.running()).toBe(false)
    expect((await client(stack, stack.publishableKey).rpc('ping')).error).not.toBeNull()
    await stack.database.start()
    expect((await client(stack, stack.publishableKey).rpc('ping')).data).toBe(1)
  })
})
