import { createInterface } from 'node:readline'

const watched = new Map<number, NodeJS.Signals>()
let closed = false

// Ctrl+C reaches the whole process group: the owner handles it, the watchdog waits for the owner.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, pid, signal] = line.split(' ')
    if (command === 'watch') watched.set(Number(pid), signal as NodeJS.Signals)
    if (command === 'forget') watched.delete(Number(pid))
    if (command === 'close') closed = true
  })
  .on('close', () => {
    if (!closed) for (const [pid, signal] of watched) end(pid, signal)
    process.exit(0)
  })

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Already gone.
  }
}
