import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { REPOSITORY } from '../src/layout.ts'
import { client, FIXTURES, freshEmail, PASSWORD, testStack } from './support/stack.ts'

const stdioScript = fileURLToPath(new URL('../src/mcp/stdio.ts', import.meta.url))

let stack: Stack
const open: Client[] = []
beforeAll(async () => {
  stack = await testStack()
})
afterAll(async () => {
  await Promise.all(open.map((connection) => connection.close()))
  await stack?.stop()
})

type Era = 'legacy' | 'modern'

async function connect(transport: ConstructorParameters<typeof StdioClientTransport>[0] | URL, era: Era = 'modern') {
  const mode = era === 'legacy' ? 'legacy' : { pin: '2026-07-28' }
  const connection = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } })
  open.push(connection)
  await connection.connect(
    transport instanceof URL ? new StreamableHTTPClientTransport(transport) : new StdioClientTransport(transport),
  )
  return connection
}

const overHttp = (query = '', era: Era = 'modern') => connect(new URL(stack.mcpUrl + query), era)
const overStdio = (args: string[] = [], era: Era = 'modern') =>
  connect({ command: process.execPath, args: [stdioScript, '--data-dir', stack.layout.root, ...args] }, era)

/** Calls a tool and returns its result, or throws what it said. */
async function call(connection: Client, name: string, args: Record<string, unknown> = {}) {
  const result = await connection.callTool({ name, arguments: args })
  const text = (result.content as { text?: string }[]).map((part) => part.text ?? '').join('')
  if (result.isError) throw new Error(text)
  return (result.structuredContent ?? JSON.parse(text)) as Record<string, never>
}

const toolNames = async (connection: Client) => (await connection.listTools()).tools.map((tool) => tool.name)

async function createProject(connection: Client, name: string): Promise<string> {
  const { type, recurrence, amount } = await call(connection, 'get_cost', { type: 'project', organization_id: 'local' })
  const confirmed = await call(connection, 'confirm_cost', { type, recurrence, amount })
  const confirm_cost_id = confirmed.confirmation_id ?? confirmed.confirm_cost_id
  const options = { name, region: 'us-east-1', organization_id: 'local', confirm_cost_id }
  return String((await call(connection, 'create_project', options)).id)
}

const rowsOf = (result: unknown) => JSON.stringify(result)

describe.each<[string, Era, () => Promise<Client>]>([
  ['over HTTP with the current protocol', 'modern', () => overHttp()],
  ['over HTTP with the protocol before', 'legacy', () => overHttp('', 'legacy')],
  ['over stdio with the current protocol', 'modern', () => overStdio()],
  ['over stdio with the protocol before', 'legacy', () => overStdio([], 'legacy')],
])('the MCP server %s', (how, era, connectTo) => {
  it('creates a project with its cost confirmed, migrates it and runs SQL in it', async () => {
    const connection = await connectTo()
    expect(connection.getProtocolEra()).toBe(era)
    const project_id = await createProject(connection, `Demo ${how}`)
    const query = 'create table public.things (id int primary key); insert into public.things values (41);'
    await call(connection, 'apply_migration', { project_id, name: 'things', query })
    const tables = rowsOf(await call(connection, 'list_tables', { project_id, schemas: ['public'] }))
    expect(tables).toContain('things')
    expect(rowsOf(await call(connection, 'list_migrations', { project_id }))).toContain('"name":"things"')
    const answer = await call(connection, 'execute_sql', { project_id, query: 'select id + 1 as n from public.things' })
    expect(rowsOf(answer)).toMatch(/n\D+42/)
  })
})

describe('a project', () => {
  it('takes every migration of the repository, in its order, and lists them', async () => {
    const connection = await overHttp()
    const project_id = await createProject(connection, 'Everything')
    const folder = path.join(REPOSITORY, 'supabase', 'migrations')
    const files = readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .sort()
    for (const file of files) {
      const query = readFileSync(path.join(folder, file), 'utf8')
      await call(connection, 'apply_migration', { project_id, name: file.replace(/^\d+_|\.sql$/g, ''), query })
    }
    const listed = rowsOf(await call(connection, 'list_migrations', { project_id }))
    const positions = files.map((file) => listed.indexOf(file.replace(/^\d+_|\.sql$/g, '')))
    expect(positions.every((at) => at > 0)).toBe(true)
    expect([...positions].sort((a, b) => a - b)).toEqual(positions)
  })

  it('keeps nothing of a migration that fails', async () => {
    const connection = await overHttp()
    const project_id = await createProject(connection, 'Half')
    const query = 'create table public.half (id int); select 1/0;'
    await expect(call(connection, 'apply_migration', { project_id, name: 'half', query })).rejects.toThrow(
      /division by zero/,
    )
    expect(rowsOf(await call(connection, 'list_tables', { project_id, schemas: ['public'] }))).not.toContain('half')
    expect(rowsOf(await call(connection, 'list_migrations', { project_id }))).not.toContain('half')
  })

  it('has an API of its own, with users of its own', async () => {
    const connection = await overStdio()
    const project_id = await createProject(connection, 'With API')
    const query = readFileSync(path.join(FIXTURES.migrationsDir, '20260101000000_notes.sql'), 'utf8')
    await call(connection, 'apply_migration', { project_id, name: 'notes', query })
    const { url } = await call(connection, 'get_project_url', { project_id })
    const keys = rowsOf(await call(connection, 'get_publishable_keys', { project_id }))
    expect(keys).toContain(stack.publishableKey)
    expect(url).not.toBe(stack.url)
    const supabase = client({ url: String(url) }, stack.publishableKey)
    await supabase.auth.signUp({ email: freshEmail(), password: PASSWORD })
    expect((await supabase.from('notes').select('body')).data).toEqual([{ body: 'welcome' }])
  })

  it('cannot take the name of another, or one that the stack needs', async () => {
    const connection = await overHttp()
    await createProject(connection, 'Twice')
    await expect(createProject(connection, 'twice')).rejects.toThrow(/already exists/)
    expect(await createProject(connection, 'Postgres')).toBe('project_postgres')
  })

  it('gives its types and the findings of the real linter', async () => {
    const connection = await overHttp()
    const { types } = await call(connection, 'generate_typescript_types', { project_id: 'local' })
    expect(types).toMatch(/"?notes"?: \{/)
    const project_id = await createProject(connection, 'Findings')
    const query = 'create view public.leak as select * from auth.users; grant select on public.leak to anon;'
    await call(connection, 'apply_migration', { project_id, name: 'leak', query })
    const findings = rowsOf(await call(connection, 'get_advisors', { project_id, type: 'security' }))
    expect(findings).toContain('auth_users_exposed')
  })
})

describe('a narrowed server', () => {
  it('that is read-only writes nothing, by tool or by SQL', async () => {
    for (const connection of [
      await overHttp('?read_only=true&project_ref=local'),
      await overStdio(['--read-only', '--project-ref', 'local']),
    ]) {
      const names = await toolNames(connection)
      expect(names).toContain('execute_sql')
      for (const gone of ['create_project', 'apply_migration', 'list_projects']) expect(names).not.toContain(gone)
      expect(
        rowsOf(await call(connection, 'execute_sql', { query: 'select count(*) as n from public.notes' })),
      ).toContain('n')
      for (const query of [
        'create table public.sneaky ()',
        'set transaction read write; create table public.sneaky ()',
        'commit; begin read write; delete from public.notes',
      ]) {
        await expect(call(connection, 'execute_sql', { query }), query).rejects.toThrow(/read-only|permission denied/)
      }
    }
  })

  it('offers the features that were asked for', async () => {
    const names = await toolNames(await overHttp('?features=database,docs'))
    expect(names).toContain('execute_sql')
    expect(names).not.toContain('get_project_url')
  })
})

describe('the MCP endpoint', () => {
  it('does not answer pages of other sites', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const post = (origin: Record<string, string>) =>
      fetch(stack.mcpUrl, { method: 'POST', body, headers: { ...headers, ...origin } })
    expect((await post({ origin: 'https://evil.example' })).status).toBe(403)
    expect((await post({ origin: 'http://localhost:6274' })).status).not.toBe(403)
  })
})

it('over stdio without a running stack the script says how to start one, on stderr alone', async () => {
  const { run } = await import('./support/cli.ts')
  const outcome = await run(['--data-dir', '/nonexistent-stack'], {}, stdioScript)
  expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('pnpm stack start') })
})
