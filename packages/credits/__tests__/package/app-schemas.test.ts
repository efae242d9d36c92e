import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGateway } from '@ai-sdk/gateway'
import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import { createClient } from '@supabase/supabase-js'
import { generateText } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { openPool } from '../store/sql-harness.ts'
import { readCatalogue, readRows, withoutLibrary } from './catalogue.ts'
import { execute, type Ran } from './command-line.ts'

const FOLDER = join(import.meta.dirname, 'app-schemas')
const MODEL = 'anthropic/claude-sonnet-4.5'
const schemas = readdirSync(FOLDER).filter((file) => file.endsWith('.sql'))

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
})
afterAll(() => stack?.stop())

/** An app with a database, an auth server and a folder of migrations. */
class App {
  readonly folder = mkdtempSync(join(tmpdir(), 'credits-app-'))
  readonly migrations = join(this.folder, 'supabase/migrations')
  readonly admin: pg.Pool
  readonly database: ClonedDatabase
  readonly #text: string

  constructor(database: ClonedDatabase, text: string) {
    this.database = database
    this.admin = openPool(database.adminDbUrl)
    this.#text = text
    mkdirSync(this.migrations, { recursive: true })
  }

  static async start(schema: string): Promise<App> {
    const text = readFileSync(join(FOLDER, schema), 'utf8')
    const app = new App(await stack.cloneDatabase({ api: true }), text)
    await app.push('20250101000000_app.sql', text)
    return app
  }

  /** What the `-- name: value` lines of its schema say. */
  says(name: string): string[] {
    return [...this.#text.matchAll(new RegExp(`^-- ${name}: (.*)$`, 'gm'))].map(([, value = '']) => value)
  }

  run(...args: string[]): Promise<Ran> {
    return execute(this.folder, { DATABASE_URL: this.database.dbUrl }, args)
  }

  /** Applies what is in the folder, with one more migration. */
  push(name?: string, text = ''): Promise<string[]> {
    if (name !== undefined) writeFileSync(join(this.migrations, name), text)
    return this.database.migrate(this.migrations)
  }

  async signUp(): Promise<string> {
    const { auth } = createClient(this.database.url, stack.publishableKey, { auth: { persistSession: false } })
    const email = `${crypto.randomUUID()}@example.test`
    const { data, error } = await auth.signUp({ email, password: 'correct horse battery' })
    if (error) throw error
    return data.user?.id ?? ''
  }

  /** @returns how many rows the statement of its schema reads or changes when a signed-in user runs it */
  async asUser(userId: string): Promise<number> {
    const client = await this.admin.connect()
    try {
      const claims = JSON.stringify({ sub: userId, role: 'authenticated' })
      await client.query('begin')
      await client.query(`select set_config('request.jwt.claims', $1, true)`, [claims])
      await client.query('set local role authenticated')
      const { rowCount } = await client.query(this.says('as the user')[0] ?? '')
      await client.query('commit')
      return rowCount ?? 0
    } finally {
      client.release(true)
    }
  }

  async hasSignUpRow(userId: string): Promise<boolean> {
    const { rowCount } = await this.admin.query(this.says('sign-up row')[0] ?? '', [userId])
    return rowCount === 1
  }

  /** A chat of the app, as its server makes it. */
  async chat(userId: string): Promise<void> {
    const auth = { persistSession: false, autoRefreshToken: false }
    const credits = createCredits({ store: supabaseStore(createClient(this.database.url, stack.secretKey, { auth })) })
    const model = createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })(MODEL)
    await withCredits(generateText, { credits, userId })({ model, prompt: '[dev: input=2000 tokens=1000] Hello' })
  }

  async stop(): Promise<void> {
    await this.admin.end()
    await this.database.drop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

describe.each(schemas)('an app with the schema %s', (schema) => {
  let app: App
  beforeAll(async () => {
    app = await App.start(schema)
  })
  afterAll(() => app?.stop())

  it('is told by --preflight which of its names are taken, and nothing is written', async () => {
    const before = await readCatalogue(app.admin)
    const { code, stdout } = await app.run('init', '--preflight', '--json')
    const collisions = app.says('collides').flatMap((names) => names.split(', '))
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: collisions.length > 0 ? 1 : 0, collisions })
    if (collisions.length > 0) expect((await app.run('init')).code).toBe(1)
    expect(readdirSync(app.migrations)).toEqual(['20250101000000_app.sql'])
    expect(await readCatalogue(app.admin)).toEqual(before)
    if (collisions.length > 0) await app.push('20250102000000_rename.sql', app.says('way out').join('\n'))
  })

  it('keeps everything it has when the library is installed, signs up, is charged, and is rid of it again', async () => {
    const before = await readCatalogue(app.admin)
    const rows = await readRows(app.admin)
    const tables = Object.keys(rows)
    expect(await app.run('init')).toMatchObject({ code: 0 })
    expect(await app.push()).not.toEqual([])
    const after = await readCatalogue(app.admin)
    expect(before.filter((line) => !after.includes(line))).toEqual([])
    expect(withoutLibrary(after.filter((line) => !before.includes(line)))).toEqual([])
    expect(await readRows(app.admin, tables)).toEqual(rows)

    const userId = await app.signUp()
    expect(await app.hasSignUpRow(userId)).toBe(true)
    expect(await app.asUser(userId)).toBeGreaterThan(0)
    expect(await app.run('rates', 'set', MODEL, '--input', '3', '--output', '15')).toMatchObject({ code: 0 })
    await app.chat(userId)
    const { rows: charged } = await app.admin.query(
      'select trim_scale(amount)::text as amount from public.credit_charges',
    )
    expect(charged).toEqual([{ amount: '3.36' }])
    expect(await app.run('verify', '--prices')).toMatchObject({ code: 0 })

    const used = await readRows(app.admin, tables)
    const { stdout: removal } = await app.run('uninstall', '--dry-run')
    await app.push('20990101000000_remove_credits.sql', removal)
    expect(await readCatalogue(app.admin)).toEqual(before)
    expect(await readRows(app.admin, tables)).toEqual(used)
    expect(await app.hasSignUpRow(await app.signUp())).toBe(true)
  })
})

describe('the schemas of apps', () => {
  it('are at least eight, each listed in their README', () => {
    const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8')
    expect(schemas.length).toBeGreaterThanOrEqual(8)
    for (const schema of schemas) expect(readme).toContain(`| \`${schema}\` |`)
  })
})
