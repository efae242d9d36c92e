import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { changedNames, parseVariables, updateVariables, type Variables } from './env-text.ts'
import { SetupError } from './errors.ts'

/** Only the owner reads the file: it holds the secret key. */
const OWNER_ONLY = 0o600

/** A dotenv file that this setup keeps up to date. */
export interface EnvFile {
  path: string
  /** A new file starts as a copy of this one, so that the variables which are not ours are there to fill in. */
  template?: string
}

/** The variables in the file; none when there is no file. */
export function readVariables({ path }: EnvFile): Variables {
  return existsSync(path) ? parseVariables(readFileSync(path, 'utf8')) : {}
}

/**
 * Sets variables in the file, readable by its owner alone. The file is replaced as a whole, so that a crash leaves
 * the old one or the new one. A file that needs no change is not touched.
 *
 * @returns the names whose value changed
 * @throws SetupError when git would commit the file
 */
export function writeVariables(file: EnvFile, values: Variables): string[] {
  refuseTracked(file.path)
  const exists = existsSync(file.path)
  const template = file.template !== undefined && existsSync(file.template) ? readFileSync(file.template, 'utf8') : ''
  const before = exists ? readFileSync(file.path, 'utf8') : template
  const changed = changedNames(exists ? parseVariables(before) : {}, values)
  const after = updateVariables(before, values)
  if (!exists || after !== before) replaceFile(exists ? realpathSync(file.path) : file.path, after)
  else if ((statSync(file.path).mode & 0o777) !== OWNER_ONLY) chmodSync(file.path, OWNER_ONLY)
  return changed
}

function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.env.${randomUUID()}.tmp`)
  try {
    // "wx": a file that was put there first, open to others, is not written to.
    writeFileSync(temporary, text, { mode: OWNER_ONLY, flag: 'wx', flush: true })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** @throws SetupError when the file lies in a git work tree that does not ignore it */
export function refuseTracked(path: string): void {
  // 0 ignored, 1 not ignored, 128 no repository here.
  const git = spawnSync('git', ['check-ignore', '--quiet', basename(path)], { cwd: dirname(path), stdio: 'ignore' })
  if (git.status !== 1) return
  throw new SetupError(
    `${path} would be committed: git does not ignore it, and it is going to hold a secret key.`,
    'Add it to .gitignore (and `git rm --cached` it if it was committed), then run this again.',
  )
}

/**
 * Makes the web app read the same file: Next.js loads `.env.local` from the app's own folder. A link keeps one copy
 * of the secret. A file that already stands there is the user's choice and is updated in place; so is a machine
 * that has no links (Windows without developer mode).
 *
 * @returns what was done, in words; undefined when all was well already
 */
export function shareWithApp(appFolder: string, file: EnvFile, values: Variables): string | undefined {
  if (!existsSync(appFolder)) return undefined
  const own = join(appFolder, '.env.local')
  const isLink = lstatSync(own, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  if (isLink && existsSync(own) && realpathSync(own) === realpathSync(file.path)) return undefined
  if (isLink) rmSync(own)
  refuseTracked(own)
  if (!existsSync(own)) {
    try {
      symlinkSync(relative(appFolder, file.path), own)
      return `linked ${own} to it`
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
    }
  }
  const changed = writeVariables({ path: own }, values)
  return changed.length > 0 ? `wrote the same variables to ${own}` : undefined
}
