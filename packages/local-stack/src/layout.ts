import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { StackError } from './errors.ts'
import { blockedParent, type RunAs, sharedTemporaryFolder } from './process/unprivileged.ts'

/** The root of the repository this package lies in. */
export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))

/** The files of one stack. */
export interface Layout {
  /** Everything of this stack. */
  root: string
  /** The Postgres cluster. */
  dataDir: string
  /** Who runs the stack and how to reach it. */
  stateFile: string
  /** Held while a stack starts or runs here, so that two starts do not work on the same data. */
  lockFile: string
  postgresLog: string
  postgrestLog: string
  serverLog: string
  /** Provider calls of the model gateway, one JSON object per line. */
  journalFile: string
}

/** The folder of the stack with this API port when none was named. */
export function defaultRoot(port: number, user: RunAs): string {
  const wanted = path.join(REPOSITORY, '.stack', String(port))
  if (blockedParent(wanted, user) === undefined) return wanted
  // A checkout below /root: the unprivileged user cannot walk there, so the data goes where everybody can.
  const id = createHash('sha256').update(REPOSITORY).digest('hex').slice(0, 12)
  return path.join(sharedTemporaryFolder(`local-stack-${id}`), String(port))
}

/** The folder of what all stacks of this repository share. */
export function cacheRoot(user: RunAs): string {
  return path.dirname(defaultRoot(0, user))
}

/** A folder that is removed when the stack stops. */
export function temporaryRoot(): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'local-stack-'))
  chmodSync(root, 0o755)
  return root
}

/**
 * Creates the folder of a stack, such that the database user can reach its part of it.
 *
 * @throws StackError `DATA_DIR_UNREACHABLE`
 */
export function createLayout(root: string, user: RunAs): Layout {
  mkdirSync(root, { recursive: true, mode: 0o755 })
  const blocked = blockedParent(root, user)
  if (blocked) {
    throw new StackError(
      'DATA_DIR_UNREACHABLE',
      `Postgres cannot run as root, and its user may not enter ${blocked}.`,
      {
        hint: `Choose a data folder that others may enter, or run: chmod o+x ${blocked}`,
      },
    )
  }
  return layoutOf(root)
}

/** The names of the files of a stack, without creating anything. */
export function layoutOf(root: string): Layout {
  const file = (name: string) => path.join(root, name)
  return {
    root,
    dataDir: file('pg'),
    stateFile: file('state.json'),
    lockFile: file('lock'),
    postgresLog: file('postgres.log'),
    postgrestLog: file('postgrest.log'),
    serverLog: file('server.log'),
    journalFile: file('journal.jsonl'),
  }
}
