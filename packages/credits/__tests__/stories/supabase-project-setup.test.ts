import { execFileSync } from 'node:child_process'
import { globSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startStack } from '@layers/local-stack'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { newProject, startPlatform } from '../../../../scripts/__tests__/support/platform.ts'
import { newWorkdir, runSetup, writeProfile } from '../../../../scripts/__tests__/support/setup-run.ts'
import { root } from '../../../../scripts/lib/paths.ts'
import { readVariables } from '../../../../scripts/supabase-setup/env-file.ts'
import { createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

const TOKEN = `sbp_${'0123456789'.repeat(4)}`
const REF = 'abcdefghijklmnopqrst'
const MIGRATIONS = join(root, 'supabase/migrations')

// The Supabase CLI takes about a second for each of its steps.
vi.setConfig({ testTimeout: 240_000 })

describe('supabase-project-setup', () => {
  let test: TestStack
  let workdir: string
  beforeAll(async () => {
    test = await createTestStack()
    workdir = newWorkdir()
  })
  afterAll(async () => {
    rmSync(workdir, { recursive: true, force: true })
    await test?.stop()
  })

  it('supabase:setup connects the local stack and writes URL, publishable key and secret key to .env.local with mode 0600', async () => {
    const port = await freePort(2)
    const stop = () =>
      execFileSync(process.execPath, [join(root, 'packages/local-stack/src/cli.ts'), 'stop', '--port', String(port)])
    try {
      const run = await runSetup(workdir, ['--target', 'local', '--port', String(port), '--yes'], {})
      expect(run.exitCode, run.output).toBe(0)
      const file = join(workdir, '.env.local')
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(readVariables({ path: file })).toMatchObject({
        NEXT_PUBLIC_SUPABASE_URL: `http://127.0.0.1:${port}`,
        NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: test.stack.publishableKey,
        SUPABASE_SECRET_KEY: test.stack.secretKey,
      })
    } finally {
      stop()
      rmSync(join(root, '.stack', String(port)), { recursive: true, force: true })
    }
  })

  it('.env.local is ignored by git and the secret key never reaches the browser bundle', () => {
    for (const file of ['.env.local', 'apps/web/.env.local']) {
      expect(execFileSync('git', ['check-ignore', file], { cwd: root, encoding: 'utf8' }).trim()).toBe(file)
    }
    const bundle = globSync('apps/web/.next/static/**/*.{js,css,html,map}', { cwd: root })
    expect(bundle.length, 'the web app is not built').toBeGreaterThan(5)
    const leaks = bundle.filter((file) =>
      /sb_secret_|SUPABASE_SECRET_KEY|service_role/.test(readFileSync(join(root, file), 'utf8')),
    )
    expect(leaks).toEqual([])
  })

  it('supabase:setup links a hosted project, pushes the migrations and fetches its keys', async () => {
    // A project as Supabase hands it over: roles and auth schema, nothing of ours.
    const project = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null })
    const platform = await startPlatform({ token: TOKEN, keys: project, nextRef: 'nopqrstuvwxyzabcdefg' })
    platform.projects.push(newProject(REF, 'production', project))
    try {
      const service = createClient(project.url, project.secretKey)
      expect((await service.rpc('credits_schema_version')).error?.code).toBe('PGRST202')
      const run = await runSetup(
        workdir,
        ['--target', 'link', '--project-ref', REF, '--yes', '--api-url', project.url],
        {
          SUPABASE_ACCESS_TOKEN: TOKEN,
          SUPABASE_API_URL: platform.url,
          SUPABASE_PROFILE: writeProfile(workdir, platform.url),
          SUPABASE_API_MAX_RETRIES: '0',
          SUPABASE_DB_URL: `${project.dbUrl}?sslmode=disable`,
        },
      )
      expect(run.exitCode, run.output).toBe(0)
      expect(run.output).not.toContain(project.secretKey)
      expect(readVariables({ path: join(workdir, '.env.local') })).toMatchObject({
        NEXT_PUBLIC_SUPABASE_URL: project.url,
        SUPABASE_SECRET_KEY: project.secretKey,
        SUPABASE_PROJECT_REF: REF,
      })
      expect((await service.rpc('credits_schema_version')).error).toBeNull()
    } finally {
      await platform.close()
      await project.stop()
    }
  })

  it('MCP create_project and apply_migration bring up the whole schema', async () => {
    const client = new Client({ name: 'story', version: '1.0.0' })
    await client.connect(new StreamableHTTPClientTransport(new URL(test.stack.mcpUrl)))
    const call = async (name: string, args: Record<string, unknown> = {}) => {
      const result = await client.callTool({ name, arguments: args })
      const text = (result.content as { text?: string }[]).map((part) => part.text ?? '').join('')
      expect(result.isError ?? false, text).toBe(false)
      return (result.structuredContent ?? JSON.parse(text)) as Record<string, unknown>
    }
    try {
      const { type, recurrence, amount } = await call('get_cost', { type: 'project', organization_id: 'local' })
      const confirmed = await call('confirm_cost', { type, recurrence, amount })
      const created = await call('create_project', {
        name: 'story',
        region: 'us-east-1',
        organization_id: 'local',
        confirm_cost_id: confirmed.confirmation_id,
      })
      const project_id = String(created.id)
      for (const file of readdirSync(MIGRATIONS).sort()) {
        const query = readFileSync(join(MIGRATIONS, file), 'utf8')
        await call('apply_migration', { project_id, name: file.replace(/^\d+_|\.sql$/g, ''), query })
      }
      const advisors = JSON.stringify(await call('get_advisors', { project_id, type: 'security' }))
      expect(advisors).not.toMatch(/public|credits_private/)
      const { url } = (await call('get_project_url', { project_id })) as { url: string }
      const service = createClient(url, test.stack.secretKey)
      const { data, error } = await service.auth.admin.createUser({
        email: 'mcp@example.test',
        password: 'a-long-password',
      })
      expect(error).toBeNull()
      const credits = createCredits({ store: supabaseStore(service) })
      const balance = await credits.getBalance({ userId: data.user?.id ?? '' })
      expect(balance).toMatchObject({ planId: 'free', available: '50' })
    } finally {
      await client.close()
    }
  })
})
