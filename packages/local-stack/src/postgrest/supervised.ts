import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, StackError } from '../errors.ts'
import type { Watchdog } from '../process/watchdog.ts'
import { type Postgrest, type PostgrestOptions, startPostgrest } from './server.ts'

/** A PostgREST that is started again when it ends by itself. */
export interface RestServer {
  start(): Promise<void>
  /** The server that runs now; its port changes when it is started again. */
  current(): Postgrest
  /** Starts it again, which is quicker than waiting for it to find its database. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Between two restarts: nothing after the first end, longer while the server does not stay up. */
const LONGEST_PAUSE_MS = 5_000
/** A server that ran for this long has stayed up. */
const STAYED_UP_MS = 10_000

/** How to watch. */
export interface SuperviseRestOptions {
  postgrest: PostgrestOptions
  watchdog: Watchdog
  /** Called after the server was started again: it has another process and another port. */
  onRestart: () => void
  log: (line: string) => void
}

/** Prepares a PostgREST; nothing runs yet. */
export function superviseRest({ postgrest, watchdog, onRestart, log }: SuperviseRestOptions): RestServer {
  let running: Postgrest | undefined
  let stopped = false
  let pause = 0

  async function start(): Promise<void> {
    const started = await startPostgrest(postgrest)
    const startedAt = Date.now()
    // The stack may have been stopped while the server started.
    if (stopped) return started.stop()
    running = started
    watchdog.watch(started.pid, 'SIGTERM')
    void started.exited.then(() => {
      watchdog.unwatch(started.pid)
      if (running !== started) return
      if (Date.now() - startedAt > STAYED_UP_MS) pause = 0
      return revive()
    })
  }

  async function revive(): Promise<void> {
    log('PostgREST has ended by itself')
    while (!stopped) {
      await sleep(pause)
      pause = Math.min(Math.max(2 * pause, 100), LONGEST_PAUSE_MS)
      if (stopped) return
      try {
        await start()
        onRestart()
        log('PostgREST was started again')
        return
      } catch (error) {
        log(`PostgREST could not be started again: ${messageOf(error)}`)
      }
    }
  }

  async function end(): Promise<void> {
    const last = running
    running = undefined
    await last?.stop()
  }

  return {
    start,
    stop: () => {
      stopped = true
      return end()
    },
    current() {
      if (running) return running
      throw new StackError('POSTGREST_FAILED', 'PostgREST is not running.')
    },
    restart: async () => {
      await end()
      await start()
      onRestart()
    },
  }
}
