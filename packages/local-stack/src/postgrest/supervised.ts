import { messageOf, StackError } from '../errors.ts'
import type { Watchdog } from '../process/watchdog.ts'
import { type Postgrest, type PostgrestOptions, startPostgrest } from './server.ts'

/** A PostgREST that is started again when it ends by itself. */
export interface RestServer {
  start(): Promise<void>
  /** The server that runs now; its port changes when it is started again. */
  current(): Postgrest
  /** Starts it anew, which is quicker than waiting for it to find its database again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

// A server that cannot stay up must not be started for ever.
const RESTARTS = 5

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
  let restarts = 0

  async function start(): Promise<void> {
    const started = await startPostgrest(postgrest)
    running = started
    watchdog.watch(started.pid, 'SIGTERM')
    void started.exited.then(() => {
      watchdog.forget(started.pid)
      if (running === started) return revive()
    })
  }

  async function revive(): Promise<void> {
    log('PostgREST has ended by itself')
    restarts += 1
    if (restarts > RESTARTS) return
    try {
      await start()
      onRestart()
      log('PostgREST was started again')
    } catch (error) {
      log(`PostgREST could not be started again: ${messageOf(error)}`)
    }
  }

  async function stop(): Promise<void> {
    const ending = running
    running = undefined
    await ending?.stop()
  }

  return {
    start,
    stop,
    current() {
      if (running) return running
      throw new StackError('POSTGREST_FAILED', 'PostgREST is not running.')
    },
    restart: async () => {
      await stop()
      await start()
      onRestart()
    },
  }
}
