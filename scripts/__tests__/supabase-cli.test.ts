import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Stack, startStack } from '@layers/local-stack'
import { parse } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { root } from '../lib/paths.ts'
import { runSupabase } from '../supabase-setup/supabase-cli.ts'
import { newWorkdir } from './support/setup-run.ts'

const config = join('supabase', 'config.toml')

// A call of the CLI takes about a second on an idle machine.
vi.setConfig({ testTimeout: 240_000 })

let stack: Stack
let workdir: string

beforeAll(async () => {
  // Empty: here the CLI brings the migrations.
  stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
  workdir = newWorkdir()
  const ported = readFileSync(join(root, config), 'utf8')
    .replace('port = 54321', `port = ${new URL(stack.url).port}`)
    .replace('port = 54322', `port = ${new URL(stack.dbUrl).port}`)
  writeFileSync(join(workdir, config), ported)
})
afterAll(async () => {
  await stack?.stop()
  if (workdir) rmSync(workdir, { recursive: true, force: true })
})

/** A command with no flag that says where: the local stack is what the CLI means by itself. */
const supabase = (...args: string[]) => runSupabase(args, { workdir })
const json = (...args: string[]): unknown => JSON.parse(supabase(...args).stdout)

describe('against the local stack, as against a hosted project', () => {
  it('migration list and up, then db push, bring and record the migrations once', () => {
    const { migrations } = json('migration', 'list') as { migrations: { local: string; remote: string }[] }
    expect(migrations.length).toBeGreaterThan(5)
    expect(migrations.every(({ remote }) => !remote)).toBe(true)
    expect(supabase('migration', 'up')).toMatchObject({ exitCode: 0 })
    const after = json('migration', 'list') as typeof json & { migrations: { local: string; remote: string }[] }
    expect(after.migrations.every(({ local, remote }) => local === remote)).toBe(true)

    writeFileSync(
      join(workdir, 'supabase/migrations/20991231000000_one_more.sql'),
      'create table public.one_more ();\n',
    )
    expect(json('db', 'push', '--include-seed')).toMatchObject({
      migrations: ['20991231000000_one_more.sql'],
      seeds: ['supabase/seed.sql'],
    })
    expect(json('db', 'push', '--include-seed')).toMatchObject({ upToDate: true })
  })

  it('db query reads, and says which SQL was wrong', () => {
    expect(supabase('db', 'query', 'select count(*)::int as plans from public.credit_plans').stdout).toMatch(
      /"plans": ?\d/,
    )
    expect(supabase('db', 'query', 'select nonsense')).toMatchObject({ exitCode: 1 })
  })

  it('db advisors finds a planted mistake', () => {
    for (const sql of ['create table public.open_to_all (id int)', 'grant select on public.open_to_all to anon']) {
      expect(supabase('db', 'query', sql)).toMatchObject({ exitCode: 0 })
    }
    const { stdout } = supabase('db', 'advisors', '--level', 'error')
    expect(stdout).toContain('rls_disabled_in_public')
    expect(stdout).toContain('open_to_all')
  })

  it('gen types describes the tables', () => {
    const url = new URL(stack.dbUrl)
    url.search = '?sslmode=disable'
    const { stdout, exitCode } = runSupabase(['gen', 'types', 'typescript', '-s', 'public', `--remote=${url.href}`], {
      workdir,
      format: 'text',
    })
    expect(exitCode).toBe(0)
    expect(stdout).toContain('credit_balances')
  })

  it('gen bearer-jwt makes a token that the API takes for the user in it', async () => {
    const { stdout } = runSupabase(['gen', 'bearer-jwt', '--role', 'authenticated', '--sub', randomUUID()], {
      workdir,
      format: 'text',
    })
    const read = (token: string) =>
      fetch(`${stack.url}/rest/v1/credit_plans?select=id`, {
        headers: { apikey: stack.publishableKey, authorization: `Bearer ${token}` },
      })
    expect((await read(stdout.trim())).status).toBe(200)
    expect((await read(`${stdout.trim().slice(0, -4)}AAAA`)).status).toBe(401)
  })
})

describe('supabase/config.toml', () => {
  it('is accepted by the CLI without a warning, and a wrong value in it is not', () => {
    expect(supabase('migration', 'list').stderr).not.toMatch(/warn|deprecated|invalid/i)
    const path = join(workdir, config)
    const good = readFileSync(path, 'utf8')
    writeFileSync(path, good.replace('otp_length = 6', 'otp_length = "six"'))
    expect(supabase('migration', 'list')).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/otp_length/) })
    writeFileSync(path, good)
  })

  it('keeps strict API defaults, has its templates, and holds no secret', () => {
    const text = readFileSync(join(root, config), 'utf8')
    const { api, auth } = parse(text) as {
      api: { auto_expose_new_tables: boolean }
      auth: {
        email: { template: Record<string, { content_path: string }> }
        external: Record<string, { enabled: boolean; client_id: string; secret: string }>
      }
    }
    expect(api.auto_expose_new_tables).toBe(false)
    const templates = Object.entries(auth.email.template)
    expect(templates.map(([name]) => name).sort()).toEqual([
      'confirmation',
      'email_change',
      'invite',
      'magic_link',
      'recovery',
    ])
    for (const [, { content_path: path }] of templates) expect(existsSync(join(root, path))).toBe(true)
    for (const provider of Object.values(auth.external)) {
      expect(provider).toMatchObject({
        enabled: false,
        client_id: expect.stringMatching(/^env\(/),
        secret: expect.stringMatching(/^env\(/),
      })
    }
    expect(text).not.toMatch(/sb_secret_|sbp_|eyJ/)
  })
})
