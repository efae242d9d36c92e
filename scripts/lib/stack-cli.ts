import { startStack } from '@layers/local-stack'
import { type Execution, runSupabase } from '../supabase-setup/supabase-cli.ts'
import { root } from './paths.ts'

/** Runs the Supabase CLI against the stack's database; stdout of a run that succeeded. */
export type StackCli = (...args: string[]) => string

/**
 * Starts an empty stack with this checkout's migrations, lets `work` use the Supabase CLI on it, and stops it.
 *
 * @throws Error with what the CLI printed when a command fails
 */
export async function withStackCli<T>(
  work: (cli: StackCli, urls: { dbUrl: string; adminDbUrl: string }) => T | Promise<T>,
): Promise<T> {
  const stack = await startStack({ ephemeral: true, seedFile: null })
  try {
    return await work((...args) => output(args, runOn(stack.dbUrl, args)), stack)
  } finally {
    await stack.stop()
  }
}

function runOn(dbUrl: string, args: string[]): Execution {
  const url = new URL(dbUrl)
  const env = { PGPASSWORD: decodeURIComponent(url.password) }
  url.password = ''
  // Without it the CLI notes on stdout that the connection is not encrypted.
  url.search = '?sslmode=disable'
  return runSupabase([...args, `--remote=${url.href}`], { workdir: root, env, format: 'text' })
}

function output(args: string[], { stdout, stderr, exitCode }: Execution): string {
  if (exitCode === 0) return stdout
  throw new Error(`supabase ${args.join(' ')} ended with ${exitCode}:\n${stderr}${stdout}`)
}
