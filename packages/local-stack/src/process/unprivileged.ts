import { lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { StackError } from '../errors.ts'

/** The user a server runs as; empty when the current user will do. */
export interface RunAs {
  uid?: number
  gid?: number
}

/**
 * Postgres refuses to run as root. As root, an unprivileged user that every Unix has is used instead; libuv
 * drops root's supplementary groups when `uid` and `gid` are given to `spawn`, so nothing of root leaks.
 *
 * @throws StackError `NO_UNPRIVILEGED_USER`
 */
export function runAs(): RunAs {
  if (process.platform === 'win32' || process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const user = users.find((fields) => fields[0] === name)
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) }
  }
  throw new StackError('NO_UNPRIVILEGED_USER', 'Postgres cannot run as root, and this system has no other user.', {
    hint: 'Create one, for example: useradd --system --no-create-home postgres',
  })
}

/** The topmost folder on the way to `target` that `user` may not walk through, or undefined when all are open. */
export function blockedParent(target: string, user: RunAs): string | undefined {
  if (user.uid === undefined) return undefined
  const folders: string[] = []
  for (let at = path.resolve(target); ; at = path.dirname(at)) {
    folders.unshift(at)
    if (path.dirname(at) === at) break
  }
  return folders.find((folder) => !mayEnter(folder, user))
}

function mayEnter(folder: string, user: RunAs): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false })
  if (!stat) return true
  if (stat.uid === user.uid) return (stat.mode & 0o100) !== 0
  if (stat.gid === user.gid) return (stat.mode & 0o010) !== 0
  return (stat.mode & 0o001) !== 0
}

/**
 * A folder of ours below the temporary one, where everybody may write: one that another user else has put there in
 * advance, or a link, is refused.
 *
 * @throws StackError `DATA_DIR_UNREACHABLE`
 */
export function sharedTemporaryFolder(name: string): string {
  const folder = path.join(os.tmpdir(), name)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const stat = lstatSync(folder)
  const ours = process.getuid === undefined || stat.uid === process.getuid()
  if (stat.isDirectory() && ours) return folder
  throw new StackError('DATA_DIR_UNREACHABLE', `${folder} belongs to another user.`, {
    hint: 'Remove it, or set TMPDIR to a folder of your own.',
  })
}
