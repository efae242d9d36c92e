import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Ends the servers when their owner dies without a chance to clean up (kill -9, a crash): a small detached
 * process holds the other end of a pipe, and when the pipe closes it signals the processes that it watches.
 */
export interface Watchdog {
  readonly pid: number
  /** Sends `signal` to `pid` should the owner die. */
  watch(pid: number, signal: NodeJS.Signals): void
  /** The server has ended by itself. */
  unwatch(pid: number): void
  /** Removes a folder should the owner die, after everything it watched has ended. */
  remove(folder: string): void
  /** Ends the watchdog without touching anything it watched. */
  close(): void
}

/** Starts the watchdog process. */
export function startWatchdog(): Watchdog {
  const script = fileURLToPath(new URL('./watchdog-main.ts', import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.unref()
  const { stdin } = child
  // The pipe must not keep the owner alive, and the watchdog's own death must not take the owner with it.
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  stdin.on('error', () => undefined)
  child.on('error', () => undefined)
  return {
    pid: child.pid ?? 0,
    watch: (pid, signal) => void stdin.write(`watch ${pid} ${signal}\n`),
    unwatch: (pid) => void stdin.write(`unwatch ${pid}\n`),
    remove: (folder) => void stdin.write(`remove ${folder}\n`),
    close: () => {
      stdin.write('close\n')
      stdin.end()
    },
  }
}
