import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migratedObjects, migrationFiles } from '../../src/cli/migrations.ts'
import { createCredits } from '../../src/index.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { openPool } from '../kit/database.ts'
import { readCatalogue, withoutLibrary } from './catalogue.ts'
import { execute, type Ran } from './command-line.ts'

const PACKAGE = join(import.meta.dirname, '../..')
const MIGRATIONS = join(PACKAGE, '../../supabase/migrations')
const FIXTURE = join(PACKAGE, '../../supabase/fixtures/0.1.0')
const SCHEMA = readFileSync(join(FIXTURE, 'schema.sql'), 'utf8')
/** The files of 0.1.0 with their text. */
const RELEASED = new Map(
  SCHEMA.split(/^-- file: /m)
    .slice(1)
    .map((part) => [part.slice(0, part.indexOf('\n')), /begin;\n([\s\S]*)commit;\n\s*$/.exec(part)?.[1] ?? '']),
)

/** A version that does not exist: a new function, a new column and a changed function, all in a new file. */
const NEXT = `
alter table public.credit_plans add column trial_days integer not null default 0
  constraint credit_plans_trial_days_check check (trial_days between 0 and 365);
create function public.credits_trial_days(p_plan_id text) returns integer language sql stable security definer
set search_path = '' as $$ select trial_days from public.credit_plans where id = p_plan_id $$;
revoke execute on function public.credits_trial_days from public, anon, authenticated;
grant execute on function public.credits_trial_days to service_role;
create or replace function public.credits_schema_version() returns jsonb language sql immutable
set search_path = '' as $$ select '{"version": 2}'::jsonb; $$;
`

let stack: Stack
let database: ClonedDatabase
let admin: pg.Pool
let folder: string

beforeAll(async () => {
  stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
})
beforeEach(async () => {
  await admin?.end()
  database = await stack.cloneDatabase()
  admin = openPool(database.adminDbUrl)
  folder = mkdtempSync(join(tmpdir(), 'credits-upgrade-'))
  const owner = openPool(database.dbUrl)
  await owner.query(SCHEMA)
  await owner.end()
  await admin.query(readFileSync(join(FIXTURE, 'data.sql'), 'utf8'))
})
afterAll(async () => {
  await admin?.end()
  await stack?.stop()
})

const env = () => ({ DATABASE_URL: database.dbUrl })
const run = (...args: string[]) => execute(folder, env(), args)
const states = ({ stdout }: Ran): Record<string, { state: string; note: string }> =>
  Object.fromEntries(JSON.parse(stdout).checks.map((check: { name: string }) => [check.name, check]))

describe('the fixture of 0.1.0', () => {
  it('has the text of every migration that was released, which no longer changes', () => {
    expect(RELEASED.size).toBeGreaterThan(15)
    for (const [file, text] of RELEASED) expect(readFileSync(join(MIGRATIONS, file), 'utf8'), file).toBe(text)
    const later = migrationFiles(MIGRATIONS).filter((file) => !RELEASED.has(file))
    const last = [...RELEASED.keys()].sort().at(-1) ?? ''
    expect(later.filter((file) => file < last)).toEqual([])
  })

  it('has data of a real run: its ledger verifies, prices included', async () => {
    const { code, stdout } = await run('verify', '--prices', '--json')
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, accounts: 3, faults: 0 })
    const { rows } = await admin.query('select distinct type from public.credit_transactions order by 1')
    expect(rows.map(({ type }) => type)).toEqual(['adjustment', 'grant', 'refund', 'reversal', 'usage'])
    const reservations = await admin.query('select distinct state from public.credit_reservations order by 1')
    expect(reservations.rows.map(({ state }) => state)).toEqual(['active', 'expired', 'released', 'settled'])
  })
})

describe('from 0.1.0 to the migrations of now', () => {
  it('the files that came after are applied to data, and doctor and verify find nothing wrong', async () => {
    for (const file of migrationFiles(MIGRATIONS).filter((name) => !RELEASED.has(name)))
      await admin.query(`begin; ${readFileSync(join(MIGRATIONS, file), 'utf8')}; commit`)
    const checks = states(await run('doctor', '--json'))
    expect(checks.schema?.state).toBe('ok')
    expect(checks['functions are those of the package']).toMatchObject({ state: 'ok' })
    expect(await run('verify', '--prices')).toMatchObject({ code: 0 })
    await useIt()
  })
})

describe('from 0.1.0 to a version after it', () => {
  /** The package as it would be installed: this one with a version of its own and one more migration. */
  function nextPackage(): (...args: string[]) => Promise<Ran> {
    const root = join(folder, 'package')
    cpSync(join(PACKAGE, 'src'), join(root, 'src'), { recursive: true })
    symlinkSync(realpathSync(join(PACKAGE, 'node_modules')), join(root, 'node_modules'))
    const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'))
    writeFileSync(join(root, 'package.json'), JSON.stringify({ ...manifest, version: '0.2.0' }))
    mkdirSync(join(root, 'migrations'))
    for (const file of migrationFiles(MIGRATIONS)) cpSync(join(MIGRATIONS, file), join(root, 'migrations', file))
    writeFileSync(join(root, 'migrations/20991231000000_credits_0099_next.sql'), NEXT)
    return (...args) =>
      new Promise((resolve) => {
        const main = join(root, 'src/cli/main.ts')
        const options = { cwd: folder, env: { PATH: process.env.PATH, ...env() } }
        execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) =>
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
        )
      })
  }

  it('init adds the new file alone, doctor reports what is there before and after, and both clients work', async () => {
    expect(await run('init')).toMatchObject({ code: 0 })
    const app = join(folder, 'supabase/migrations')
    const texts = () => readdirSync(app).map((file) => [file, readFileSync(join(app, file), 'utf8')] as const)
    const first = texts()
    const next = nextPackage()

    const before = states(await next('doctor', '--json'))
    expect(before.schema).toMatchObject({ state: 'fail', note: expect.stringMatching(/version 1, the package has 2/) })
    const { note } = before['functions are those of the package'] ?? {}
    expect(note).toContain('public.credits_trial_days is missing')
    expect(note).toContain('public.credits_schema_version differs')
    expect(before['migration files']?.note).toContain('credits_0099_next.sql')

    expect(await next('init')).toMatchObject({ code: 0 })
    const second = texts()
    expect(second.filter(([file]) => !first.some(([name]) => name === file)).map(([file]) => file)).toEqual([
      expect.stringMatching(/^\d{14}_credits_0099_next\.sql$/),
    ])
    expect(second.filter(([file]) => first.some(([name]) => name === file))).toEqual(first)

    const catalogue = withoutLibrary(await readCatalogue(admin))
    const owner = openPool(database.dbUrl)
    await owner.query(`begin; ${second.find(([file]) => file.endsWith('_next.sql'))?.[1] ?? ''}; commit`)
    await owner.end()
    expect(withoutLibrary(await readCatalogue(admin))).toEqual(catalogue)
    const after = states(await next('doctor', '--json'))
    for (const name of ['schema', 'functions are those of the package', 'migration files', 'triggers are in place'])
      expect(after[name], name).toMatchObject({ state: 'ok' })

    const old = states(await run('doctor', '--json'))
    expect(old.schema).toMatchObject({ state: 'warn', note: expect.stringMatching(/version 2, the package has 1/) })
    expect(old['functions are those of the package']?.state).toBe('warn')
    await useIt()
    expect(await run('verify', '--prices')).toMatchObject({ code: 0 })
    expect(await next('verify', '--prices')).toMatchObject({ code: 0 })
  })

  it('the version of the schema is read from the last migration that sets it', () => {
    expect(migratedObjects(MIGRATIONS).schemaVersion).toBe(1)
    nextPackage()
    expect(migratedObjects(join(folder, 'package/migrations')).schemaVersion).toBe(2)
  })
})

/** The client of now, on an account with a history. */
async function useIt(): Promise<void> {
  const { rows } = await admin.query<{ id: string }>(`select id from auth.users where email = 'ben@example.test'`)
  const userId = rows[0]?.id ?? ''
  const credits = createCredits({ store: postgresStore(admin) })
  const before = await credits.getBalance({ userId })
  const { reservationId } = await credits.reserve({ userId, model: 'acme/writer', amount: '10' })
  await credits.settle({ userId, reservationId, usage: { inputTokens: 2000, outputTokens: 1000 } })
  const after = await credits.getBalance({ userId })
  expect(Number(before.available) - Number(after.available)).toBeCloseTo(3.36, 6)
  expect((await credits.getHistory({ userId })).data[0]).toMatchObject({ type: 'usage', amount: '-3.36' })
}

afterAll(() => rmSync(folder, { recursive: true, force: true }))
