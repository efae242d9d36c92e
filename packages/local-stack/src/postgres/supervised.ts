import { messageOf } from '../errors.ts'
import type { Watchdog } from '../process/watchdog.ts'
import { type ClusterOptions, startCluster } from './cluster.ts'

/** A Postgres server that is watched over: it can be ended and started again while everything else stays up. */
export interface DatabaseServer {
  readonly port: number
  readonly pid: number
  /** Whether the server runs. */
  running(): boolean
  /** Ends the server as a crash does (SIGKILL), or cleanly. It stays down until `start`. */
  end(how: 'crash' | 'clean'): Promise<void>
  /**
   * Starts the server after `end`.
   *
   * @param options.apis start PostgREST again with it (default). It finds the server by itself too, after a while.
   */
  start(options?: { apis?: boolean }): Promise<void>
  /** Ends the server for good. */
  stop(): Promise<void>
}

/** How to watch. */
export interface SuperviseOptions {
  cluster: ClusterOptions
  watchdog: Watchdog
  /** Start the server again when it ends by itself. */
  restartOnCrash: boolean
  /** Called after the server has come back. */
  onRestart: () => Promise<void>
  log: (line: string) => void
}

// A server that cannot stay up must not be started for ever.
const RESTARTS_PER_MINUTE = 5

/**
 * Starts Postgres and looks after it. A port of 0 takes a free one.
 *
 * @throws StackError `POSTGRES_FAILED`
 */
export async function superviseDatabase(options: SuperviseOptions): Promise<DatabaseServer> {
  let cluster = await startCluster(options.cluster)
  const fixed = { ...options.cluster, port: cluster.port }
  let expected = false
  let running = true
  const restarts: number[] = []
  attach()

  function attach(): void {
    const attached = cluster
    running = true
    options.watchdog.watch(attached.pid, 'SIGINT')
    void attached.exited.then(() => {
      options.watchdog.unwatch(attached.pid)
      running = false
      if (!expected) return restart()
    })
  }

  async function restart(): Promise<void> {
    options.log('Postgres has ended by itself')
    const now = Date.now()
    while (restarts[0] !== undefined && restarts[0] < now - 60_000) restarts.shift()
    if (!options.restartOnCrash || restarts.length >= RESTARTS_PER_MINUTE) return
    restarts.push(now)
    try {
      await start()
      options.log('Postgres was started again')
    } catch (error) {
      options.log(`Postgres could not be started again: ${messageOf(error)}`)
    }
  }

  async function start({ apis = true }: { apis?: boolean } = {}): Promise<void> {
    if (running) return
    expected = false
    cluster = await startCluster(fixed)
    attach()
    if (apis) await options.onRestart()
  }

  async function end(how: 'crash' | 'clean'): Promise<void> {
    expected = true
    if (how === 'crash') process.kill(cluster.pid, 'SIGKILL')
    else await cluster.stop()
    await cluster.exited
  }

  return {
    port: cluster.port,
    get pid() {
      return cluster.pid
    },
    running: () => running,
    end,
    start,
    stop: async () => {
      expected = true
      if (running) await cluster.stop()
    },
  }
}
