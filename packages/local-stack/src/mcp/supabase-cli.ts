import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '../errors.ts'
import { REPOSITORY } from '../layout.ts'
import { connectionString } from '../postgres/connect.ts'
import type { DatabaseTarget } from './sql.ts'

const run = promisify(execFile)

/** The Supabase CLI of this repository, else the one on PATH. */
function program(): string {
  const local = path.join(
    REPOSITORY,
    'node_modules',
    '.bin',
    process.platform === 'win32' ? 'supabase.cmd' : 'supabase',
  )
  return process.env.SUPABASE_BIN ?? (existsSync(local) ? local : 'supabase')
}

/** Runs the Supabase CLI against a local database and returns what it printed. */
async function supabaseCli(target: DatabaseTarget, args: string[]): Promise<string> {
  // Without sslmode a note lands in the output; `--agent no` keeps the shape of the JSON under coding agents.
  const remote = `--remote=${connectionString({ ...target, user: 'postgres' })}?sslmode=disable`
  try {
    const { stdout } = await run(program(), [...args, '--agent', 'no', remote], {
      cwd: REPOSITORY,
      env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
      maxBuffer: 64 << 20,
      timeout: 60_000,
    })
    return stdout
  } catch (error) {
    throw new Error(`supabase ${args.join(' ')} failed: ${messageOf(error)}`)
  }
}

/** The types of a database's public schema. */
export function generateTypes(target: DatabaseTarget): Promise<string> {
  return supabaseCli(target, ['gen', 'types', 'typescript', '-s', 'public'])
}

/** The findings of Supabase's own linter. */
export async function advisors(
  target: DatabaseTarget,
  type: 'security' | 'performance',
): Promise<{ lints: unknown[] }> {
  const output = (await supabaseCli(target, ['db', 'advisors', '--type', type, '--level', 'info', '-o', 'json'])).trim()
  // With nothing found the CLI prints a sentence.
  return { lints: output.startsWith('[') ? (JSON.parse(output) as unknown[]) : [] }
}
