import { appendFileSync, existsSync, rmSync } from 'node:fs'
import { type Api, CONSTANTS, startApi } from './api.ts'
import { type ClonedDatabase, type CloneOptions, createCloner } from './clone.ts'
import { StackError } from './errors.ts'
import type { Handler } from './http/front-door.ts'
import { PUBLIC_JWKS, type RoleKeys, roleKeys } from './keys.ts'
import { cacheRoot, createLayout, defaultRoot, type Layout, temporaryRoot } from './layout.ts'
import { logsOf } from './mcp/connect.ts'
import { createPlatform } from './mcp/platform.ts'
import { createJournal } from './models/journal.ts'
import { createModelGateway } from './models/server.ts'
import { type ResolvedOptions, resolveOptions, type StackOptions } from './options.ts'
import { findPostgres, type PostgresBinaries } from './postgres/binaries.ts'
import { dataDirVersion, majorVersion } from './postgres/cluster.ts'
import { connectionString } from './postgres/connect.ts'
import { migrate, seed } from './postgres/migrate.ts'
import { endOrphan } from './postgres/orphan.ts'
import { type DatabaseServer, superviseDatabase } from './postgres/supervised.ts'
import { createCluster } from './postgres/template.ts'
import { requireFreePort } from './process/ports.ts'
import { type RunAs, runAs } from './process/unprivileged.ts'
import { startWatchdog, type Watchdog } from './process/watchdog.ts'
import { createProjectApis, type ProjectApis } from './project-apis.ts'
import { clearState, endLeftovers, readRunning, releaseLock, type StackInfo, takeLock, writeState } from './state.ts'

/** A running stack. */
export interface Stack extends StackInfo {
  /** The files of this stack. */
  readonly layout: Layout
  /** What starting did to the database. */
  readonly applied: { migrations: string[]; seeded: boolean }
  /** The Postgres server, to end and start it in fault tests. */
  readonly database: Pick<DatabaseServer, 'running' | 'end' | 'start' | 'pid'>
  /** A database of its own with all migrations and the seed, in some 20 ms; for tests. */
  cloneDatabase(options?: CloneOptions): Promise<ClonedDatabase>
  /** Ends all servers; an ephemeral stack leaves nothing behind. */
  stop(): Promise<void>
}

/**
 * Starts Postgres, PostgREST, the auth server and the model gateway, applies the migrations and the seed.
 *
 * @throws StackError with a code for everything that can be in the way
 * @example
 * const stack = await startStack({ ephemeral: true })
 * const supabase = createClient(stack.url, stack.publishableKey)
 * await stack.stop()
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const resolved = resolveOptions(options)
  const user = runAs()
  const binaries = findPostgres(user)
  const root = resolved.dataDir ?? (resolved.ephemeral ? temporaryRoot() : defaultRoot(resolved.port, user))
  const layout = createLayout(root, user)
  const log = logger(layout, resolved)
  lock(layout)
  const undo: (() => unknown)[] = [() => releaseLock(layout)]
  try {
    await clearTheWay(layout, resolved)
    await prepareCluster(layout, binaries, user)
    const watchdog = startWatchdog()
    undo.push(() => watchdog.close())
    if (resolved.ephemeral) watchdog.remove(layout.root)
    return await assemble({ resolved, user, binaries, layout, log, watchdog, undo })
  } catch (error) {
    await unwind(undo)
    if (resolved.ephemeral) rmSync(layout.root, { recursive: true, force: true })
    throw error
  }
}

/** Makes sure that no other process works on the folder. */
function lock(layout: Layout): void {
  const holder = takeLock(layout)
  if (holder === undefined) return
  const where = readRunning(layout)?.info.url ?? 'still starting'
  throw new StackError('ALREADY_RUNNING', `A stack runs in ${layout.root} already: ${where} (process ${holder}).`, {
    hint: 'Use it, stop it ("pnpm stack stop"), or start another one with --port N.',
  })
}

/** Makes sure that the ports are free, and removes what a killed stack left. */
async function clearTheWay(layout: Layout, options: ResolvedOptions): Promise<void> {
  await endOrphan(layout.dataDir)
  await endLeftovers(layout)
  clearState(layout)
  if (options.port !== 0) await requireFreePort(options.port, 'API')
  if (options.dbPort !== 0) await requireFreePort(options.dbPort, 'database')
  if (options.fresh) {
    for (const file of [layout.dataDir, layout.journalFile]) rmSync(file, { recursive: true, force: true })
  }
}

async function prepareCluster(layout: Layout, binaries: PostgresBinaries, user: RunAs): Promise<void> {
  const found = dataDirVersion(layout.dataDir)
  if (found === undefined) {
    await createCluster(layout.dataDir, { binaries, user, cacheDir: cacheRoot(user) })
    return
  }
  const major = majorVersion(binaries)
  if (found === major) return
  const message = `The data in ${layout.dataDir} belongs to Postgres ${found}, this is Postgres ${major}.`
  throw new StackError('DATA_DIR_VERSION', message, {
    hint: 'Start with --fresh to throw the local data away, or set POSTGRES_BIN to the matching server.',
  })
}

interface Parts {
  resolved: ResolvedOptions
  user: RunAs
  binaries: PostgresBinaries
  layout: Layout
  log: (line: string) => void
  watchdog: Watchdog
  /** What to do, last first, when a later part fails or the stack stops. */
  undo: (() => unknown)[]
}

async function assemble(parts: Parts): Promise<Stack> {
  const { resolved, layout, log, watchdog, undo } = parts
  let api: Api | undefined
  let recordState = () => {}
  const database = await superviseDatabase({
    cluster: {
      binaries: parts.binaries,
      user: parts.user,
      dataDir: layout.dataDir,
      port: resolved.dbPort,
      logFile: layout.postgresLog,
      flags: resolved.postgresFlags,
    },
    watchdog,
    restartOnCrash: resolved.restartOnCrash,
    onRestart: async () => api?.restartRest(),
    log,
  })
  undo.push(() => database.stop())
  const applied = await applySchema(database.port, resolved)
  const roles = await roleKeys()
  const apiOptions = {
    dbPort: database.port,
    roles,
    auth: resolved.auth,
    restPoolSize: resolved.restPoolSize,
    restLog: layout.postgrestLog,
    watchdog,
    log,
  }
  const projects = createProjectApis(apiOptions)
  undo.push(() => projects.stopAll())
  const started = await startApi({
    ...apiOptions,
    port: resolved.port,
    database: 'postgres',
    onRestRestart: () => recordState(),
    open: (url) => openHandlers(parts, database.port, roles, projects, url),
  })
  api = started
  undo.push(() => started.stop())
  const cloner = createCloner({ resolved, apiOptions })
  undo.push(() => cloner.dropAll())

  const info = describe(started, database, roles, watchdog)
  recordState = () => writeState(layout, info())
  recordState()
  return {
    ...info(),
    // A server that was started again has another process, and PostgREST another port.
    get pids() {
      return info().pids
    },
    get restUrl() {
      return started.restUrl
    },
    layout,
    applied,
    database,
    cloneDatabase: cloner.clone,
    stop: async () => {
      await unwind(undo)
      clearState(layout)
      if (resolved.ephemeral) rmSync(layout.root, { recursive: true, force: true })
    },
  }
}

async function applySchema(port: number, options: ResolvedOptions): Promise<Stack['applied']> {
  const migrations = options.migrationsDir === null ? [] : await migrate({ port }, options.migrationsDir)
  const seeded = options.seedFile === null ? false : await seed({ port }, options.seedFile)
  return { migrations, seeded }
}

/** What shares the URL with auth and REST. */
function openHandlers(
  parts: Parts,
  dbPort: number,
  roles: RoleKeys,
  projects: ProjectApis,
  url: string,
): Record<string, Handler> {
  const { layout, resolved, log } = parts
  const platform = createPlatform({
    dbPort,
    url,
    projectUrl: projects.urlOf,
    publishableKey: CONSTANTS.publishableKey,
    anonKey: roles.anonKey,
    logs: logsOf(layout),
  })
  return {
    ...createModelGateway({ journal: createJournal(layout.journalFile), streamDelayMs: resolved.modelDelayMs }),
    '/_dev/projects': projects.route,
    '/mcp': onFirstUse(async () => (await import('./mcp/http.ts')).createMcpRoute(platform, log)),
  }
}

/** The MCP server is a fifth of a second of loading that most starts never need. */
function onFirstUse(load: () => Promise<Handler>): Handler {
  let loaded: Promise<Handler> | undefined
  return async (req, res, rest, url) => {
    loaded ??= load()
    await (await loaded)(req, res, rest, url)
  }
}

function describe(api: Api, database: DatabaseServer, roles: RoleKeys, watchdog: Watchdog): () => StackInfo {
  return () => ({
    url: api.url,
    ...CONSTANTS,
    ...roles,
    dbUrl: connectionString({ port: database.port, user: 'postgres' }),
    adminDbUrl: connectionString({ port: database.port, user: 'supabase_admin' }),
    jwks: PUBLIC_JWKS,
    gatewayUrl: `${api.url}/v4/ai`,
    restUrl: api.restUrl,
    mcpUrl: `${api.url}/mcp`,
    mailUrl: `${api.url}/_dev/mail`,
    pids: { supervisor: process.pid, postgres: database.pid, postgrest: api.restPid, watchdog: watchdog.pid },
  })
}

async function unwind(undo: (() => unknown)[]): Promise<void> {
  for (let step = undo.pop(); step; step = undo.pop()) await step()
}

function logger(layout: Layout, options: ResolvedOptions): (line: string) => void {
  return (line) => {
    options.log?.(line)
    if (existsSync(layout.root)) appendFileSync(layout.serverLog, `${new Date().toISOString()} ${line}\n`)
  }
}
