import { rmSync } from 'node:fs'
import path from 'node:path'
import { createLayout, temporaryRoot } from '../layout.ts'
import { runAs } from '../process/unprivileged.ts'
import { startWatchdog } from '../process/watchdog.ts'
import { findPostgres } from './binaries.ts'
import { initCluster, startCluster } from './cluster.ts'
import { connectionString, DB_PASSWORD, withClient } from './connect.ts'

/** A Postgres server with nothing of Supabase in it. */
export interface BarePostgres {
  /** Of a database whose owner may create roles and is no superuser, as hosted Postgres gives it. */
  dbUrl: string
  /** As the superuser. */
  adminDbUrl: string
  /** Ends the server and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts a Postgres server without the roles, schemas and extensions of a Supabase project; for tests.
 *
 * @throws StackError `BINARY_MISSING`, `POSTGRES_FAILED`
 * @example
 * const server = await startBarePostgres()
 * await server.stop()
 */
export async function startBarePostgres(): Promise<BarePostgres> {
  const user = runAs()
  const binaries = findPostgres(user)
  const layout = createLayout(temporaryRoot(), user)
  const watchdog = startWatchdog()
  watchdog.remove(layout.root)
  const dataDir = path.join(layout.root, 'bare')
  initCluster(binaries, dataDir, user)
  const flags = ['fsync=off', 'full_page_writes=off']
  const cluster = await startCluster({ binaries, user, dataDir, port: 0, logFile: layout.postgresLog, flags })
  watchdog.watch(cluster.pid, 'SIGINT')
  const { port } = cluster
  await withClient({ port, user: 'supabase_admin' }, async (admin) => {
    await admin.query(`create role app_owner login createrole password '${DB_PASSWORD}'`)
    await admin.query('create database app owner app_owner')
  })
  return {
    dbUrl: connectionString({ port, database: 'app', user: 'app_owner' }),
    adminDbUrl: connectionString({ port, database: 'app', user: 'supabase_admin' }),
    stop: async () => {
      await cluster.stop()
      watchdog.close()
      rmSync(layout.root, { recursive: true, force: true })
    },
  }
}
