import pg from 'pg'
import { HOST } from '../process/ports.ts'

/** The only password there is. The server listens on the loopback address. */
export const DB_PASSWORD = 'postgres'

/** How to reach a database of the local cluster. */
export interface Target {
  port: number
  /** Default `postgres`. */
  database?: string
  user: string
  timeoutMs?: number
}

function settings(target: Target): pg.ClientConfig {
  return {
    host: HOST,
    port: target.port,
    database: target.database ?? 'postgres',
    user: target.user,
    password: DB_PASSWORD,
    connectionTimeoutMillis: target.timeoutMs ?? 5000,
  }
}

/** A connection of its own. Close it with `end()`. */
export async function connect(target: Target): Promise<pg.Client> {
  const client = new pg.Client(settings(target))
  // A server that dies under an idle connection must not end this process.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Runs `work` on a connection of its own. */
export async function withClient<T>(target: Target, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(target)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** A pool of connections that survives a restart of the server. */
export function createPool(target: Target, max: number): pg.Pool {
  const pool = new pg.Pool({ ...settings(target), max })
  pool.on('error', () => undefined)
  return pool
}

/** Runs `work` in a transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(pool: pg.Pool, work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  try {
    await tx.query('begin')
    const result = await work(tx)
    await tx.query('commit')
    return result
  } catch (error) {
    await tx.query('rollback').catch(() => undefined)
    throw error
  } finally {
    tx.release()
  }
}

/** A connection string. */
export function connectionString(target: Target): string {
  return `postgresql://${target.user}:${DB_PASSWORD}@${HOST}:${target.port}/${target.database ?? 'postgres'}`
}
