import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Credits, createCredits } from '@layers/credits'
import { supabaseStore } from '@layers/credits/supabase'
import { freePort, type Stack, type StackOptions, startStack } from '@layers/local-stack'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import pg from 'pg'
import type { Relay } from './relay.ts'

const web = join(import.meta.dirname, '../..')

/** The built web app on a stack of its own. */
export interface App {
  url: string
  stack: Stack
  /** Acts as the operator: auth admin and the use cases, beside the app. */
  service: SupabaseClient
  credits: Credits
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  /** What the server wrote so far. */
  output(): string
  /** Ends the server alone with SIGTERM, as a platform does, and waits until it has ended. */
  stopServer(): Promise<void>
  stop(): Promise<void>
}

/** `variables` are added to those that the stack gives. With a relay, the app reaches the stack through it alone. */
export async function startApp(
  options: StackOptions = {},
  variables: Record<string, string> = {},
  relay?: Relay,
): Promise<App> {
  const stack = await startStack({ ephemeral: true, ...options })
  if (relay) relay.target = stack.url
  const supabase = relay ? { NEXT_PUBLIC_SUPABASE_URL: relay.url } : {}
  const pool = new pg.Pool({ connectionString: stack.adminDbUrl, max: 2 })
  // Ending the stack also ends idle connections.
  pool.on('error', () => undefined)
  const sql = async (text: string, values: unknown[] = []) => (await pool.query(text, values)).rows
  const service = createClient(stack.url, stack.secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
  const server = await startServer({ ...environment(stack), ...supabase, ...variables })
  return {
    ...server,
    stack,
    service,
    sql,
    credits: createCredits({ store: supabaseStore(service) }),
    stopServer: server.stop,
    stop: async () => {
      await server.stop()
      await pool.end()
      await stack.stop()
    },
  }
}

/** The variables of .env.example for a stack. */
function environment(stack: Stack): Record<string, string> {
  return {
    NEXT_PUBLIC_SUPABASE_URL: stack.url,
    NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
    SUPABASE_SECRET_KEY: stack.secretKey,
    AI_GATEWAY_API_KEY: stack.gatewayApiKey,
    AI_GATEWAY_BASE_URL: stack.gatewayUrl,
  }
}

/** `next start` with exactly these variables; waits until it listens. */
export async function startServer(env: Record<string, string>): Promise<Pick<App, 'url' | 'output' | 'stop'>> {
  if (!existsSync(join(web, '.next/BUILD_ID'))) throw new Error('The web app is not built: run `pnpm build` first.')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const next = join(web, 'node_modules/next/dist/bin/next')
  const child = spawn(process.execPath, [next, 'start', '--hostname', '127.0.0.1', '--port', String(port)], {
    cwd: web,
    env: { PATH: process.env.PATH ?? '', NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  await untilListening(url, child, () => output)
  return { url, output: () => output, stop: () => stopServer(child) }
}

async function untilListening(url: string, child: ChildProcess, output: () => string): Promise<void> {
  for (let attempt = 0; attempt < 300 && child.exitCode === null; attempt++) {
    if (await fetch(`${url}/api/health`).catch(() => null)) return
    await sleep(100)
  }
  child.kill('SIGKILL')
  throw new Error(`The web app did not start:\n${output()}`)
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(timer)
}
