import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { StackError } from '../errors.ts'
import type { RunAs } from '../process/unprivileged.ts'
import type { PostgresBinaries } from './binaries.ts'
import { INITDB_OPTIONS, initCluster, serverVersion, startCluster } from './cluster.ts'
import { BOOTSTRAP_SQL, bootstrap } from './databases.ts'

/** Where finished clusters are kept, and what they are made with. */
export interface TemplateOptions {
  binaries: PostgresBinaries
  user: RunAs
  /** Folder that keeps one template per version of the server and of the bootstrap SQL. */
  cacheDir: string
}

/**
 * Puts a complete cluster (roles, auth schema, strict defaults) at `dataDir`. Making one takes a second or more,
 * so it is made once and copied from then on. The folder appears by a rename: it is complete or not there, also
 * when the power fails half-way.
 */
export async function createCluster(dataDir: string, options: TemplateOptions): Promise<void> {
  const template = await ensureTemplate(options)
  const partial = `${dataDir}.partial`
  rmSync(partial, { recursive: true, force: true })
  copyTree(template, partial)
  rmSync(dataDir, { recursive: true, force: true })
  renameSync(partial, dataDir)
}

async function ensureTemplate(options: TemplateOptions): Promise<string> {
  const ingredients = [serverVersion(options.binaries), ...INITDB_OPTIONS, BOOTSTRAP_SQL]
  const hash = createHash('sha256').update(ingredients.join('\n')).digest('hex')
  const template = path.join(options.cacheDir, `template-${hash.slice(0, 12)}`)
  if (existsSync(template)) return template
  mkdirSync(options.cacheDir, { recursive: true, mode: 0o755 })
  const partial = `${template}.${process.pid}`
  const logFile = `${partial}.log`
  try {
    initCluster(options.binaries, partial, options.user)
    const cluster = await startCluster({ ...options, dataDir: partial, port: 0, logFile, flags: ['fsync=off'] })
    try {
      await bootstrap(cluster.port)
    } finally {
      await cluster.stop()
    }
    renameSync(partial, template)
  } catch (error) {
    // Another start may have been faster: its template is as good.
    if (!existsSync(template)) throw error
  } finally {
    for (const file of [partial, logFile]) rmSync(file, { recursive: true, force: true })
  }
  return template
}

/** Copies with owners and modes, which Postgres checks. */
function copyTree(from: string, to: string): void {
  if (process.platform === 'win32') {
    cpSync(from, to, { recursive: true })
    return
  }
  const result = spawnSync('cp', ['-Rp', from, to], { encoding: 'utf8' })
  if (result.status === 0) return
  throw new StackError('POSTGRES_FAILED', `The database files could not be copied: ${result.stderr.trim()}`, {
    hint: 'Is the disk full?',
  })
}
