import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BarePostgres, startBarePostgres } from '@layers/local-stack'
import { generateText } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { createCredits } from '../../src/index.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { finish, provider, textParts } from '../ai/scripted-model.ts'
import { openPool } from '../kit/database.ts'
import { readCatalogue } from './catalogue.ts'
import { execute } from './command-line.ts'

const MODEL = 'openai/gpt-test'
/** Users of an app that keeps them itself, and the trigger that docs/supabase.md shows. */
const APP = `
  create table public.users (
    id uuid primary key default gen_random_uuid(), email text not null, verified_at timestamptz);
  insert into public.users (email, verified_at) values ('early@example.test', now());`
const DOCS = readFileSync(join(import.meta.dirname, '../../../../docs/supabase.md'), 'utf8')
const SYNC = /```sql\n(create function public\.copy_user_to_auth[\s\S]*?)```/.exec(DOCS)?.[1] ?? ''

let server: BarePostgres
let owner: pg.Pool
const folder = mkdtempSync(join(tmpdir(), 'credits-plain-'))
const run = (...args: string[]) => execute(folder, { DATABASE_URL: server.dbUrl }, args)
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, '--json')
  return { code, answer: JSON.parse(stdout || stderr) }
}

beforeAll(async () => {
  server = await startBarePostgres()
  owner = openPool(server.dbUrl, { max: 4 })
  await owner.query(APP)
})
afterAll(async () => {
  await owner?.end()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('a Postgres without Supabase', () => {
  it('is named as such by --preflight, which finds nothing in the way of init --plain', async () => {
    const { code, answer } = await json('init', '--preflight')
    expect({ code, count: answer.collisions.length }).toEqual({ code: 1, count: 4 })
    expect(answer.collisions.join()).toContain('init --plain')
    expect(await json('init', '--preflight', '--plain')).toMatchObject({ code: 0, answer: { collisions: [] } })
  })

  it('gets roles and auth schema from the first file of init --plain, and the library from the rest', async () => {
    const before = await readCatalogue(owner)
    expect(await run('init', '--plain', '--dir', folder)).toMatchObject({ code: 0 })
    const files = readdirSync(folder).sort()
    expect(files[0]).toMatch(/_credits_0000_plain_postgres\.sql$/)
    for (const file of files) await owner.query(`begin; ${readFileSync(join(folder, file), 'utf8')}; commit`)
    const after = await readCatalogue(owner)
    expect(before.filter((line) => !after.includes(line))).toEqual([])
    expect(await json('init', '--plain', '--dir', folder)).toMatchObject({ code: 0 })
    expect(readdirSync(folder).sort()).toEqual(files)
  })

  it('opens an account for a user of the app, now and from before, and for no other id', async () => {
    expect(SYNC).toContain('auth.users')
    await owner.query(SYNC)
    await owner.query(`insert into public.users (email, verified_at) values ('new@example.test', now())`)
    const credits = createCredits({ store: postgresStore(owner) })
    const { rows } = await owner.query<{ id: string }>('select id from public.users')
    expect(rows).toHaveLength(2)
    for (const { id } of rows) expect(await credits.getBalance({ userId: id })).toMatchObject({ available: '50' })
    const unknown = credits.getBalance({ userId: crypto.randomUUID() })
    await expect(unknown).rejects.toMatchObject({ code: 'ACCOUNT_NOT_FOUND' })
  })

  it('charges a call, and its ledger verifies', async () => {
    expect(await run('rates', 'set', MODEL, '--input', '1', '--output', '2')).toMatchObject({ code: 0 })
    const { rows } = await owner.query<{ id: string }>(`select id from public.users where email = 'new@example.test'`)
    const userId = rows[0]?.id ?? ''
    const credits = createCredits({ store: postgresStore(owner) })
    const { model } = provider([{ parts: [...textParts(500), finish('stop', 1000, 500)] }])
    await withCredits(generateText, { credits, userId })({ model, prompt: 'x' })
    // USD 0.002 at a margin of 60 %.
    expect(await credits.getBalance({ userId })).toMatchObject({ available: '49.68', reserved: '0' })
    expect(await json('verify', '--prices')).toMatchObject({ code: 0, answer: { accounts: 2, faults: 0 } })
    expect(await run('grant', '--user', 'new@example.test', '--amount', '5', '--key', 'k')).toMatchObject({ code: 0 })
  })

  it('shows the roles of an API no more than on Supabase', async () => {
    const { rows } = await owner.query(
      `select function.proname from pg_proc function cross join unnest(array['anon', 'authenticated']) role
       where function.pronamespace = 'public'::regnamespace and function.proname ~ '^credits_[a-z]+'
         and has_function_privilege(role, function.oid, 'execute')`,
    )
    expect(rows).toEqual([])
    const { answer } = await json('doctor')
    const failed = answer.checks.filter(({ state }: { state: string }) => state === 'fail')
    expect(failed.map(({ name }: { name: string }) => name)).toEqual([])
  })
})
