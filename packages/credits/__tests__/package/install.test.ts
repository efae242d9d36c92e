import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migratedObjects, migrationFiles } from '../../src/cli/migrations.ts'
import { type CommandLine, startCommandLine } from './command-line.ts'

const MIGRATIONS = join(import.meta.dirname, '../../../../supabase/migrations')

let cli: CommandLine

beforeAll(async () => {
  cli = await startCommandLine()
})
beforeEach(async () => {
  await cli.reset()
})
afterAll(() => cli?.stop())

const checks = async (...args: string[]): Promise<Record<string, { state: string; note: string }>> => {
  const { answer } = await cli.json('doctor', ...args)
  return Object.fromEntries(answer.checks.map((check: { name: string }) => [check.name, check]))
}

describe('credits doctor', () => {
  it('doctor finds an installed schema in order', async () => {
    const states = Object.entries(await checks()).map(([name, { state }]) => [name, state])
    expect(Object.fromEntries(states)).toMatchObject({
      node: 'ok',
      database: 'ok',
      schema: 'ok',
      'functions are those of the package': 'ok',
      'triggers are in place': 'ok',
      'row level security on every table': 'ok',
      'no API role writes a table': 'ok',
      'only the service role executes the functions': 'ok',
      'no API role reaches the private schema': 'ok',
      'functions pin their search_path': 'ok',
      'a default margin is in force': 'ok',
    })
  })

  it('doctor finds a table without row level security, a role that writes and an open function', async () => {
    await cli.admin.query('alter table public.credit_balances disable row level security')
    await cli.admin.query('grant update on public.credit_balances to authenticated')
    await cli.admin.query('grant execute on function public.credits_get_balance to anon')
    await cli.admin.query('grant usage on schema credits_private to authenticated')
    expect(await checks()).toMatchObject({
      'row level security on every table': { state: 'fail' },
      'no API role writes a table': { state: 'fail' },
      'only the service role executes the functions': { state: 'fail', note: 'anon may call credits_get_balance' },
      'no API role reaches the private schema': { state: 'fail' },
    })
    expect((await cli.run('doctor')).code).toBe(1)
  })

  it('doctor finds a function that was replaced, one that was dropped, and a disabled trigger', async () => {
    await cli.admin.query(
      `create or replace function public.credits_schema_version() returns jsonb language sql immutable
       set search_path = '' as $$ select '{"version": 1, "changed": true}'::jsonb; $$`,
    )
    await cli.admin.query('drop function public.credits_verify_heads')
    const [trigger] = migratedObjects(MIGRATIONS).triggers.filter(({ table }) => table === 'auth.users')
    await cli.admin.query(`alter table auth.users disable trigger ${trigger?.name}`)
    const found = await checks()
    expect(found['functions are those of the package']).toMatchObject({ state: 'fail' })
    expect(found['functions are those of the package']?.note).toContain('credits_schema_version differs')
    expect(found['functions are those of the package']?.note).toContain('credits_verify_heads is missing')
    expect(found['triggers are in place']).toMatchObject({
      state: 'fail',
      note: `${trigger?.name} on auth.users is disabled`,
    })
  })

  it('doctor names the migration files that an app does not have', async () => {
    const dir = join(cli.folder, 'some-migrations')
    mkdirSync(dir)
    const [first = '', second = ''] = migrationFiles(MIGRATIONS)
    writeFileSync(join(dir, first), '')
    const { 'migration files': check } = await checks('--dir', dir)
    expect(check).toMatchObject({ state: 'fail', note: expect.stringContaining(second) })
    expect(check?.note).not.toContain(first)
  })

  it('doctor distinguishes a wrong key, a wrong URL, a web page and a working API', async () => {
    const { url, secretKey, publishableKey } = cli.stack
    const api = async (env: Record<string, string>) => {
      const variables = { NEXT_PUBLIC_SUPABASE_URL: url, SUPABASE_SECRET_KEY: secretKey, ...env }
      const { stdout } = await cli.runWith(variables, 'doctor', '--json')
      const { checks } = JSON.parse(stdout) as { checks: { name: string; state: string; note: string }[] }
      return Object.fromEntries(checks.map((check) => [check.name, check]))
    }
    const good = await api({ NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: publishableKey })
    expect(good).toMatchObject({
      'the API answers': { state: 'ok' },
      'the publishable key is refused': { state: 'ok' },
    })
    const note = async (env: Record<string, string>) => (await api(env))['the API answers']?.note
    expect(await note({ SUPABASE_SECRET_KEY: publishableKey })).toContain('key')
    expect(await note({ SUPABASE_SECRET_KEY: 'sb_secret_of_another_project' })).toContain('refused')
    expect(await note({ NEXT_PUBLIC_SUPABASE_URL: 'http://127.0.0.1:1' })).toContain('cannot be reached')
    const website = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1')
    await once(website, 'listening')
    const { port } = website.address() as AddressInfo
    expect(await note({ NEXT_PUBLIC_SUPABASE_URL: `http://127.0.0.1:${port}` })).toContain('no Supabase project?')
    website.close()
  })

  it('doctor gives the cause when the database cannot be reached', async () => {
    const { stdout } = await cli.run('doctor', '--database-url', 'postgres://postgres@127.0.0.1:1/postgres')
    expect(stdout).toMatch(/fail +database: STORE_UNAVAILABLE.*ECONNREFUSED/)
  })
})

/** Names of everything in the schemas that an app may use, and who may do what with it. */
async function describeDatabase(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(`
    select 'relation ' || c.oid::regclass::text || ' ' || c.relkind::text || ' ' || coalesce(c.relacl::text, '') as line
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('public', 'credits_private')
    union all select 'function ' || p.oid::regprocedure::text || ' ' || coalesce(p.proacl::text, '')
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'credits_private')
    union all select 'trigger ' || t.tgname::text || ' ' || t.tgrelid::regclass::text from pg_trigger t where not t.tgisinternal
    union all select 'policy ' || p.polname::text || ' ' || p.polrelid::regclass::text from pg_policy p
    union all select 'type ' || t.oid::regtype::text from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where n.nspname in ('public', 'credits_private')
    union all select 'schema ' || n.nspname::text from pg_namespace n where n.nspname !~ '^pg_(temp|toast)'
    order by 1`)
  return rows.map(({ line }) => line)
}

describe('an app with a database of its own', () => {
  /** A project without the library: the state before the first install, made by uninstalling it. */
  async function removeAll(): Promise<void> {
    const { stdout } = await cli.run('uninstall', '--dry-run')
    // As the role of a push, which does not own auth.users.
    const owner = new pg.Client({ connectionString: cli.database.dbUrl })
    await owner.connect()
    await owner.query(stdout)
    await owner.end()
  }

  async function applyMigrations(): Promise<void> {
    const owner = new pg.Client({ connectionString: cli.database.dbUrl })
    await owner.connect()
    for (const file of migrationFiles(MIGRATIONS)) await owner.query(readFileSync(join(MIGRATIONS, file), 'utf8'))
    await owner.end()
  }

  it('uninstall prints SQL that removes everything of the library and nothing of the app', async () => {
    await removeAll()
    const before = await describeDatabase(cli.admin)
    expect(before.filter((line) => /credit|margin/.test(line))).toEqual([])
    await cli.admin.query('create table public.notes (id int primary key); grant select on public.notes to anon')
    const withApp = await describeDatabase(cli.admin)
    await applyMigrations()
    expect((await describeDatabase(cli.admin)).length).toBeGreaterThan(withApp.length + 100)
    await removeAll()
    expect(await describeDatabase(cli.admin)).toEqual(withApp)
  })

  it('uninstall runs nothing by itself, and says so when there is nothing to remove', async () => {
    const before = await describeDatabase(cli.admin)
    expect((await cli.run('uninstall')).stderr).toContain('INVALID_INPUT: --dry-run')
    expect((await cli.run('uninstall', '--dry-run')).code).toBe(0)
    expect(await describeDatabase(cli.admin)).toEqual(before)
    await removeAll()
    expect((await cli.run('uninstall', '--dry-run')).stderr).toContain('not installed')
  })

  it('init --preflight finds nothing in a database without the library, and says when it is installed', async () => {
    expect((await cli.run('init', '--preflight')).stdout).toContain('The library is installed here.')
    await removeAll()
    expect(await cli.json('init', '--preflight')).toMatchObject({ code: 0, answer: { collisions: [] } })
  })

  it('init names every collision and writes nothing', async () => {
    await removeAll()
    await cli.admin.query(`
      create table public.credit_balances (user_id uuid);
      create view public.credit_charges as select 1 as one;
      create function public.credits_grant(amount int) returns int language sql as 'select amount';
      create schema credits_private`)
    const { code, answer } = await cli.json('init', '--dir', join(cli.folder, 'collisions'))
    expect(code).toBe(1)
    expect(answer).toMatchObject({ preflight: true, steps: [] })
    expect(answer.collisions).toEqual([
      'function public.credits_grant(amount integer)',
      'schema credits_private',
      'table public.credit_balances',
      'view public.credit_charges',
    ])
    expect(() => readdirSync(join(cli.folder, 'collisions'))).toThrow()
  })

  it('init --preflight knows the name of everything that the migrations make in public', async () => {
    const { tables, views, indexes, functions } = migratedObjects(MIGRATIONS)
    const sequences = ['margin_audit_log_id_seq', 'credit_audit_log_id_seq']
    const known = new Set([...tables, ...views, ...indexes, ...sequences, ...functions.map(({ name }) => name)])
    await removeAll()
    const objects = `
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
      union all select proname from pg_proc where pronamespace = 'public'::regnamespace
      union all select typname from pg_type where typnamespace = 'public'::regnamespace and typcategory <> 'A'`
    const before = new Set((await cli.admin.query(objects)).rows.map(({ name }) => name))
    await applyMigrations()
    const made = (await cli.admin.query(objects)).rows.map(({ name }) => name).filter((name) => !before.has(name))
    expect(made.length).toBeGreaterThan(80)
    // Postgres gives a sequence another name when its first choice is taken, so those are no collisions.
    expect(made.filter((name) => !known.has(name))).toEqual([])
  })

  it('a project with Realtime keeps its own policies, and none of ours after uninstall', async () => {
    await removeAll()
    await cli.admin.query(`
      create table realtime.messages (topic text, extension text);
      create function realtime.topic() returns text language sql as $$ select 'topic' $$;
      create function realtime.send(jsonb, text, text, boolean) returns void language sql as '';
      create policy own_rooms on realtime.messages for select to authenticated using (true);
      alter table realtime.messages owner to postgres`)
    const before = await describeDatabase(cli.admin)
    await applyMigrations()
    expect(await describeDatabase(cli.admin)).toContain('policy credits_own_topic realtime.messages')
    await removeAll()
    expect(await describeDatabase(cli.admin)).toEqual(before)
    await cli.admin.query('create policy credits_own_topic on realtime.messages for select using (false)')
    const { answer } = await cli.json('init', '--preflight')
    expect(answer.collisions).toEqual(['policy credits_own_topic on realtime.messages'])
  })

  it('init refuses to go on when a file of the app differs from the package, and writes nothing', async () => {
    const dir = join(cli.folder, 'differing')
    const first = migrationFiles(MIGRATIONS)[0] ?? ''
    mkdirSync(dir)
    writeFileSync(join(dir, first), 'select 1;')
    const { code, answer } = await cli.json('init', '--dir', dir)
    expect({ code, step: answer.steps[0] }).toEqual({ code: 1, step: { action: 'differs', file: first } })
    expect(readdirSync(dir)).toEqual([first])
  })
})
