import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClonedDatabase, type Stack, startStack } from '@layers/local-stack'
import pg from 'pg'
import { postgresStore } from '../../src/store/postgres.ts'
import { chargeOf } from '../../src/testing/case.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

/** What a command printed. */
export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** The command line against a database of its own, in a folder of its own: no .env of the repository is read. */
export interface CommandLine {
  folder: string
  stack: Stack
  /** Replaced by {@link CommandLine.reset}. */
  database: ClonedDatabase
  admin: pg.Pool
  /** A new database with a user in it. */
  reset(): Promise<string>
  run(...args: string[]): Promise<Ran>
  /** Runs with further variables. */
  runWith(env: Record<string, string>, ...args: string[]): Promise<Ran>
  /** Runs with `--json` and reads the answer, or the error. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has an answer of its own
  json(...args: string[]): Promise<{ code: number; answer: any }>
  signUp(): Promise<string>
  /** Reserves and settles. */
  spend(userId: string, amount: string, more?: Parameters<typeof chargeOf>[1]): Promise<void>
  stop(): Promise<void>
}

export async function startCommandLine(): Promise<CommandLine> {
  const folder = mkdtempSync(join(tmpdir(), 'credits-cli-'))
  const stack = await startStack({ ephemeral: true })
  const line: CommandLine = {
    folder,
    stack,
    database: undefined as unknown as ClonedDatabase,
    admin: undefined as unknown as pg.Pool,
    async reset() {
      await line.admin?.end()
      line.database = await stack.cloneDatabase()
      line.admin = openPool(line.database.adminDbUrl)
      return line.signUp()
    },
    run: (...args) => line.runWith({}, ...args),
    runWith: (more, ...args) => execute(folder, { DATABASE_URL: line.database.dbUrl, ...more }, args),
    async json(...args) {
      const { code, stdout, stderr } = await line.run(...args, '--json')
      return { code, answer: JSON.parse(stdout || stderr) }
    },
    signUp: () => signUp(line.admin),
    spend: (userId, amount, more) => spend(line.admin, userId, amount, more),
    async stop() {
      await line.admin?.end()
      await stack.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return line
}

/** Runs the command line in a folder, with no variables but these. */
export function execute(cwd: string, env: Record<string, string>, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, ...args],
      { cwd, env: { PATH: process.env.PATH, ...env }, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2 })
  // A connection that the server ends while idle emits an error, which would end the process.
  pool.on('error', () => undefined)
  return pool
}

/** A row as the auth server writes it: the trigger on `auth.users` opens the account. */
async function signUp(admin: pg.Pool): Promise<string> {
  const userId = crypto.randomUUID()
  await admin.query(
    `insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
     values ($1, 'authenticated', 'authenticated', $2, now(), now(), now())`,
    [userId, `${userId}@example.test`],
  )
  return userId
}

async function spend(
  admin: pg.Pool,
  userId: string,
  amount: string,
  more: Parameters<typeof chargeOf>[1] = {},
): Promise<void> {
  const store = postgresStore(admin)
  const reservationId = crypto.randomUUID()
  await store.reserve({ reservationId, userId, amount, ttlSeconds: 60 })
  await store.settle({ userId, reservationId, charge: chargeOf(amount, more) })
}
