import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { endProcess } from '../process/pids.ts'

/** Ends a server that outlived its owner, so that its data folder can be opened again. */
export async function endOrphan(dataDir: string): Promise<void> {
  const file = path.join(dataDir, 'postmaster.pid')
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  if (Number.isInteger(pid) && pid > 1) await endProcess(pid, dataDir, 'SIGINT')
}
