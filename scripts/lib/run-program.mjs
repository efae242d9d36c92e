import { spawn } from 'node:child_process'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program, passes signals on, and waits until it has ended. With `quiet`, its output is only shown when it fails.
 * Plain JavaScript: it runs before anything is installed.
 *
 * @returns its exit code; 128, as a shell says, for one that a signal ended
 */
export function runProgram(command, args, { quiet = false, ...options } = {}) {
  const child = spawn(command, args, { stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit', ...options })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => output.push(chunk))
  const forward = (signal) => child.kill(signal)
  for (const signal of SIGNALS) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      for (const signal of SIGNALS) process.off(signal, forward)
      if (quiet && code !== 0) process.stderr.write(Buffer.concat(output))
      resolve(code ?? 128)
    })
  })
}
