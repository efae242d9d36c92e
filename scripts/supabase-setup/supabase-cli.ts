import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { root } from '../lib/paths.ts'
import type { Variables } from './env-text.ts'
import { SetupError } from './errors.ts'

const ENTRY = join(root, 'node_modules', 'supabase', 'dist', 'supabase.js')
/** Longer than any step takes; a step that hangs must not hang the setup. */
const TIMEOUT_MS = 10 * 60_000

/**
 * Fixed for every run: no telemetry, no prompt about a newer version, and the same JSON for every caller
 * (the CLI changes its shape when it believes that an AI agent reads it).
 */
const QUIET = { SUPABASE_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', SUPABASE_NO_UPDATE_NOTIFIER: '1' }

const failureSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), suggestion: z.string().optional() }),
})

/** The Supabase CLI of this checkout. */
export interface SupabaseCli {
  /**
   * Runs a command and reads its JSON answer.
   *
   * @param env what the command needs besides this process's environment. Secrets go here: arguments are visible to
   *   every user of the machine.
   * @throws SetupError with the CLI's own message and suggestion
   */
  run<T>(args: string[], answer: z.ZodType<T>, env?: Variables): T
}

/** The Supabase CLI, working on the `supabase/` folder inside `workdir`. */
export function supabaseCli({ workdir }: { workdir: string }): SupabaseCli {
  return {
    run: (args, answer, env = {}) => {
      const { stdout, stderr, exitCode } = runSupabase(args, { workdir, env })
      const json = lastJson(stdout)
      if (exitCode === 0) {
        const result = answer.safeParse(json)
        if (result.success) return result.data
        throw new SetupError(
          `\`supabase ${args[0]}\` answered in a shape that this setup does not know: ${z.prettifyError(result.error)}`,
          'This setup was written for the version of the CLI in package.json. Run `pnpm install`.',
        )
      }
      const failure = failureSchema.safeParse(json)
      const { message, suggestion } = failure.success
        ? failure.data.error
        : { message: stderr.trim() || stdout.trim() || `exit code ${exitCode}`, suggestion: undefined }
      throw new SetupError(
        withoutSecrets(`supabase ${args.slice(0, 2).join(' ')}: ${message}`, { ...process.env, ...env }),
        suggestion && withoutSecrets(suggestion, { ...process.env, ...env }),
      )
    },
  }
}

/** What a command printed and how it ended. */
export interface Execution {
  stdout: string
  stderr: string
  exitCode: number
}

/**
 * Runs the Supabase CLI of this checkout to its end, without a terminal and without telemetry.
 *
 * @param env what the command needs besides this process's environment; secrets go here, not into `args`
 * @throws SetupError when it is not installed
 */
export function runSupabase(
  args: string[],
  { workdir, env = {}, format = 'json' }: { workdir: string; env?: Variables; format?: 'json' | 'text' },
): Execution {
  const flags = ['--agent', 'no', '--output-format', format, '--workdir', workdir]
  const { stdout, stderr, status, error } = spawnSync(process.execPath, [ENTRY, ...flags, ...args], {
    cwd: workdir,
    env: { ...process.env, ...QUIET, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
  })
  if (error) throw new SetupError(`The Supabase CLI could not be run: ${error.message}`, 'Run `pnpm install`.')
  // A child that a signal ended has no exit code.
  return { stdout, stderr, exitCode: status ?? 128 }
}

/** The answer is the last line that is JSON: notes for people may stand before it. */
function lastJson(stdout: string): unknown {
  for (const line of stdout.trim().split('\n').reverse()) {
    try {
      return JSON.parse(line)
    } catch {
      // Not the answer; the line before may be.
    }
  }
  return undefined
}

/** Takes the values of secret variables out of a text, in case a tool quotes one. */
export function withoutSecrets(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const secrets = Object.entries(env)
    .filter(([name]) => /TOKEN|SECRET|PASSWORD|KEY|DB_URL|DATABASE_URL/.test(name))
    .flatMap(([, value]) => (value !== undefined && value.length >= 6 ? [value] : []))
    // The longest first: one secret may be part of another.
    .sort((a, b) => b.length - a.length)
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
}
