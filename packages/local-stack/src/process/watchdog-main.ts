import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { signal, waitForExit } from './pids.ts'

const watched = new Map<number, NodeJS.Signals>()
const folders: string[] = []
let closed = false

// Ctrl+C reaches the whole process group: the owner handles it, the watchdog waits for the owner.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, subject = '', name] = line.split(' ')
    if (command === 'watch') watched.set(Number(subject), name as NodeJS.Signals)
    if (command === 'unwatch') watched.delete(Number(subject))
    if (command === 'remove') folders.push(line.slice('remove '.length))
    if (command === 'close') closed = true
  })
  .on('close', async () => {
    if (!closed) await clearAway()
    process.exit(0)
  })

async function clearAway(): Promise<void> {
  for (const [pid, name] of watched) signal(pid, name)
  await Promise.all([...watched.keys()].map((pid) => waitForExit(pid, 5000)))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}
