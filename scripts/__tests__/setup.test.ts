import { spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { root } from '../lib/paths.ts'
import { readVariables } from '../supabase-setup/env-file.ts'
import { verify } from '../supabase-setup/verify.ts'
import { newProject, type Platform, startPlatform } from './support/platform.ts'
import { newWorkdir, type Run, runSetup, visibleArguments, writeProfile } from './support/setup-run.ts'

const TOKEN = `sbp_${'0123456789'.repeat(4)}`
const REF = 'abcdefghijklmnopqrst'
const NEW_REF = 'nopqrstuvwxyzabcdefg'
const LINK = ['--target', 'link', '--project-ref', REF]
const CREATE = ['--target', 'create', '--name', 'shop', '--org-id', 'acme', '--region', 'eu-central-1']

// Each run calls the CLI up to nine times, about a second each on an idle machine.
vi.setConfig({ testTimeout: 240_000 })

let stack: Stack
let platform: Platform
let workdir: string
let env: Record<string, string>
let envFile: string
let dbUrl: string
let api: string[]
let dropDatabase: () => Promise<void>

beforeAll(async () => {
  // Empty: the setup under test brings the schema, through the real CLI.
  stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
})
afterAll(() => stack?.stop())

beforeEach(async () => {
  const database = await stack.cloneDatabase({ api: true })
  dropDatabase = database.drop
  dbUrl = database.dbUrl
  api = ['--api-url', database.url]
  workdir = newWorkdir()
  envFile = join(workdir, '.env.local')
  platform = await startPlatform({ token: TOKEN, keys: stack, nextRef: NEW_REF })
  platform.projects.push(newProject(REF, 'production', stack))
  env = {
    SUPABASE_ACCESS_TOKEN: TOKEN,
    SUPABASE_API_URL: platform.url,
    SUPABASE_PROFILE: writeProfile(workdir, platform.url),
    SUPABASE_API_MAX_RETRIES: '0',
    SUPABASE_DB_URL: `${dbUrl}?sslmode=disable`,
  }
})
afterEach(async () => {
  await platform.close()
  await dropDatabase()
  rmSync(workdir, { recursive: true, force: true })
})

const setup = (...args: string[]): Promise<Run> => runSetup(workdir, [...args, ...api], env)

async function query<T extends pg.QueryResultRow>(sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: dbUrl })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

const applied = async () =>
  (await query<{ version: string }>('select version from supabase_migrations.schema_migrations')).length

function stopStack(port: number): void {
  spawnSync(process.execPath, [join(root, 'packages/local-stack/src/cli.ts'), 'stop', '--port', String(port)])
  rmSync(join(root, '.stack', String(port)), { recursive: true, force: true })
}

describe('an existing hosted project', () => {
  it('a dry run and a run without consent say what they would do, and change nothing', async () => {
    const dry = await setup(...LINK, '--dry-run')
    expect(dry).toMatchObject({ exitCode: 0 })
    expect(dry.output).toMatch(/plan .*apply \d+ migrations/)
    expect(dry.output).toMatch(/plan .*auth\.email\.max_frequency|plan .*change \d+ settings/)
    const refused = await setup(...LINK)
    expect(refused).toMatchObject({ exitCode: 1, output: expect.stringMatching(/Add --yes/) })
    expect(platform.changes).toEqual([])
    expect(await query("select 1 from pg_tables where tablename = 'credit_balances'")).toEqual([])
    expect(lstatSync(envFile, { throwIfNoEntry: false })).toBeUndefined()
  })

  it('is linked, migrated, seeded, given its settings and proven, with no secret in sight; again changes nothing', async () => {
    const secrets = [stack.secretKey, TOKEN, 'postgres:postgres@', 'github-oauth-secret']
    Object.assign(env, {
      SUPABASE_AUTH_EXTERNAL_GITHUB_CLIENT_ID: 'github-id',
      SUPABASE_AUTH_EXTERNAL_GITHUB_SECRET: 'github-oauth-secret',
    })
    const seen: string[] = []
    // Every process of this run has the folder in its arguments; others on the machine are not ours to judge.
    const look = () => seen.push(...visibleArguments().filter((process) => process.includes(workdir)))
    const watch = setInterval(look, 100)
    platform.onRequest = look
    const first = await setup(...LINK, '--yes', '--production-url', 'https://app.example.com/some/page')
    clearInterval(watch)

    expect(first).toMatchObject({ exitCode: 0, output: expect.stringMatching(/verified: .* version 1 .*\n\nReady\./) })
    const migrations = readdirSync(join(workdir, 'supabase', 'migrations')).length
    expect(await applied()).toBe(migrations)
    expect(readVariables({ path: envFile })).toMatchObject({
      NEXT_PUBLIC_SUPABASE_URL: api[1],
      NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
      SUPABASE_SECRET_KEY: stack.secretKey,
      SUPABASE_PROJECT_REF: REF,
      DATABASE_URL: env.SUPABASE_DB_URL,
      CREDITS_UPGRADE_URL: '/upgrade',
    })
    expect(statSync(envFile).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(workdir, 'apps/web/.env.local'), 'utf8')).toBe(readFileSync(envFile, 'utf8'))
    expect(platform.projects[0]?.auth).toMatchObject({
      site_url: 'https://app.example.com',
      uri_allow_list: 'http://127.0.0.1:3000/**,http://localhost:3000/**,https://app.example.com/**',
      mailer_autoconfirm: false,
      smtp_max_frequency: 60,
      password_min_length: 8,
      external_github_enabled: true,
      external_github_client_id: 'github-id',
      external_github_secret: 'github-oauth-secret',
      external_google_enabled: false,
      mailer_templates_recovery_content: readFileSync(join(workdir, 'supabase/templates/recovery.html'), 'utf8'),
    })
    for (const secret of secrets) {
      expect(first.output).not.toContain(secret)
      expect(seen.filter((process) => process.includes(secret))).toEqual([])
    }
    expect(seen.some((process) => process.includes('--include-seed'))).toBe(true)

    const written = statSync(envFile)
    const asked = platform.changes.length
    // Without --production-url the project keeps its site, and what was added in the dashboard stays.
    Object.assign(platform.projects[0]?.auth ?? {}, {
      uri_allow_list: `${platform.projects[0]?.auth.uri_allow_list},https://preview.example.com/**`,
    })
    const second = await setup(...LINK, '--yes')
    expect(second).toMatchObject({ exitCode: 0, output: expect.stringMatching(/nothing was changed\.\n$/) })
    expect(platform.changes.slice(asked)).toEqual([])
    expect([statSync(envFile).mtimeMs, statSync(envFile).ino]).toEqual([written.mtimeMs, written.ino])
    expect(await applied()).toBe(migrations)
  })

  it('a failure half-way says what to do, and the same command goes on where it stopped', async () => {
    platform.fails = ({ path }) => path.endsWith('/config/auth') && platform.changes.length === 1
    const first = await setup(...LINK, '--yes')
    expect(first.exitCode).toBe(1)
    expect(first.output).toMatch(/supabase config push: .*Something went wrong/s)
    expect(first.output).toMatch(/What was done stays done; run the same command again/)
    expect(await applied()).toBeGreaterThan(0)
    expect(lstatSync(envFile, { throwIfNoEntry: false })).toBeUndefined()

    const second = await setup(...LINK, '--yes')
    expect(second).toMatchObject({ exitCode: 0, output: expect.stringMatching(/same {2}migrations and seeds applied/) })
    expect(readVariables({ path: envFile }).SUPABASE_SECRET_KEY).toBe(stack.secretKey)
  })

  it('is not taken for set up when anybody may call the functions that move credits', async () => {
    expect(await setup(...LINK, '--yes')).toMatchObject({ exitCode: 0 })
    const project = { publishableKey: stack.publishableKey, secretKey: stack.secretKey, url: api[1] ?? '' }
    expect(await verify(project)).toBe(1)
    await query('grant execute on function public.credits_schema_version() to anon')
    await expect(verify(project)).rejects.toThrow(/Anybody can call the functions that move credits/)
    const foreign = { ...project, publishableKey: 'sb_publishable_of_another_project' }
    await expect(verify(foreign)).rejects.toThrow(/does not know the publishable key/)
  })

  it('that the token does not reach is refused before anything happens', async () => {
    const run = await setup('--target', 'link', '--project-ref', 'zzzzzzzzzzzzzzzzzzzz', '--yes')
    expect(run).toMatchObject({ exitCode: 1, output: expect.stringMatching(/reaches no project zzzzzzzzzzzzzzzzzzzz/) })
    expect(platform.changes).toEqual([])
  })
})

describe('a new hosted project', () => {
  const created = () => platform.changes.filter(({ method, path }) => method === 'POST' && path === '/v1/projects')

  it('is created once, also when the answer is lost on the way, and its password is kept', async () => {
    platform.losesAnswer = ({ path }) => path === '/v1/projects' && created().length === 1
    const lost = await setup(...CREATE, '--yes')
    expect(lost).toMatchObject({ exitCode: 1, output: expect.stringMatching(/may have been created/) })

    platform.losesAnswer = () => false
    const again = await setup(...CREATE, '--yes')
    expect(again).toMatchObject({ exitCode: 0, output: expect.stringMatching(/Ready\./) })
    expect(created().map(({ body }) => body)).toEqual([
      {
        name: 'shop',
        organization_slug: 'acme',
        region_selection: { type: 'specific', code: 'eu-central-1' },
        db_pass: readVariables({ path: envFile }).SUPABASE_DB_PASSWORD,
      },
    ])
    expect(readVariables({ path: envFile }).SUPABASE_PROJECT_REF).toBe(NEW_REF)
    expect(again.output).not.toContain(readVariables({ path: envFile }).SUPABASE_DB_PASSWORD)

    expect(await setup(...CREATE, '--yes')).toMatchObject({
      exitCode: 0,
      output: expect.stringMatching(/nothing was changed\.\n$/),
    })
    // The only copy of its password is not overwritten by another project's.
    expect(await setup(...LINK, '--yes')).toMatchObject({
      exitCode: 1,
      output: expect.stringMatching(new RegExp(`holds the database password of project ${NEW_REF}`)),
    })
    expect(created()).toHaveLength(1)
  })

  it('does not take over a project of the same name that it did not make', async () => {
    platform.projects.push(newProject('zyxwvutsrqponmlkjihg', 'shop', stack))
    const run = await setup(...CREATE, '--yes')
    expect(run).toMatchObject({ exitCode: 1, output: expect.stringMatching(/has a project named shop already/) })
    expect(platform.changes).toEqual([])
  })
})

describe('the local stack', () => {
  it('is started, written to the file and proven; again changes nothing; production is refused', async () => {
    // The database takes the next one.
    const port = await freePort(2)
    const local = ['--target', 'local', '--port', String(port)]
    expect(await runSetup(workdir, local, { NODE_ENV: 'production' })).toMatchObject({
      exitCode: 1,
      output: expect.stringMatching(/does not run with NODE_ENV=production/),
    })
    try {
      expect(await runSetup(workdir, local, {})).toMatchObject({
        exitCode: 0,
        output: expect.stringMatching(/Ready\./),
      })
      expect(readVariables({ path: envFile })).toMatchObject({
        NEXT_PUBLIC_SUPABASE_URL: `http://127.0.0.1:${port}`,
        AI_GATEWAY_BASE_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/),
      })
      expect(await runSetup(workdir, local, {})).toMatchObject({
        exitCode: 0,
        output: expect.stringMatching(/nothing was changed\.\n$/),
      })
    } finally {
      stopStack(port)
    }
  })
})
