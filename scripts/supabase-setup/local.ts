import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { root } from '../lib/paths.ts'
import type { Variables } from './env-text.ts'
import { SetupError } from './errors.ts'
import type { Report } from './report.ts'
import type { ProjectApi } from './verify.ts'

const STACK = join(root, 'packages', 'local-stack', 'src', 'cli.ts')

const stackSchema = z.object({
  url: z.url(),
  publishableKey: z.string(),
  secretKey: z.string(),
  dbUrl: z.string(),
  gatewayUrl: z.url(),
  gatewayApiKey: z.string(),
})

/** The project to verify and the variables that reach it. */
export interface Target {
  api: ProjectApi
  variables: Variables
}

/**
 * Starts the local stack, or finds it running; its start applies migrations and seeds.
 *
 * @throws SetupError under NODE_ENV=production: every key of the local stack is public
 */
export function setUpLocal({ port, report }: { port: number; report: Report }): Target {
  refuseProduction()
  const ran = stackCommand('status', port).status === 0
  const stack = startStack(port)
  if (ran) report.same(`the local stack runs at ${stack.url}`)
  else report.done(`started the local stack at ${stack.url}, applied migrations and seeds`)
  return {
    api: { url: stack.url, publishableKey: stack.publishableKey, secretKey: stack.secretKey },
    variables: {
      NEXT_PUBLIC_SUPABASE_URL: stack.url,
      NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
      SUPABASE_SECRET_KEY: stack.secretKey,
      DATABASE_URL: stack.dbUrl,
      AI_GATEWAY_API_KEY: stack.gatewayApiKey,
      AI_GATEWAY_BASE_URL: stack.gatewayUrl,
    },
  }
}

/** @throws SetupError when this process calls itself a production one */
export function refuseProduction(): void {
  if (process.env.NODE_ENV !== 'production') return
  throw new SetupError(
    'The local stack is for development: its keys are public, so it does not run with NODE_ENV=production.',
    'Use --target link or --target create for a hosted project, or unset NODE_ENV.',
  )
}

function startStack(port: number): z.infer<typeof stackSchema> {
  const { stdout, stderr, status, error } = stackCommand('start', port)
  if (error || status !== 0) {
    throw new SetupError(`The local stack did not start. ${error?.message ?? stderr.trim()}`, 'See `pnpm stack logs`.')
  }
  return stackSchema.parse(JSON.parse(stdout))
}

function stackCommand(command: 'start' | 'status', port: number) {
  const args = [STACK, command, '--json', '--port', String(port)]
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
