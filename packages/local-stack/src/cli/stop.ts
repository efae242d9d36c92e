import { existsSync } from 'node:fs'
import { defineCommand } from 'citty'
import type { Layout } from '../layout.ts'
import { endOrphan } from '../postgres/orphan.ts'
import { commandOf, signal, waitForExit } from '../process/pids.ts'
import { clearState, endLeftovers, lockHolder, releaseLock } from '../state.ts'
import { guarded, layoutFor, print, WHICH } from './shared.ts'

/** A clean stop takes a tenth of a second; after this it is forced, which loses nothing that was committed. */
const PATIENCE_MS = 15_000

/** `stack stop` */
export const stop = defineCommand({
  meta: { name: 'stop', description: 'Stop the stack; the data stays' },
  args: WHICH,
  run: ({ args }) =>
    guarded(async () => {
      const layout = layoutFor(args)
      print((await stopStack(layout)) ? `Stopped the stack in ${layout.root}.` : `No stack runs in ${layout.root}.`)
    }),
})

/** Stops the stack in this folder and what a killed one left behind. Returns whether one ran. */
export async function stopStack(layout: Layout): Promise<boolean> {
  if (!existsSync(layout.root)) return false
  const holder = lockHolder(layout)
  if (holder !== undefined) {
    const command = commandOf(holder)
    signal(holder, 'SIGTERM')
    if (!(await waitForExit(holder, PATIENCE_MS)) && commandOf(holder) === command) {
      signal(holder, 'SIGKILL')
      await waitForExit(holder, PATIENCE_MS)
    }
  }
  await endOrphan(layout.dataDir)
  await endLeftovers(layout)
  clearState(layout)
  releaseLock(layout)
  return holder !== undefined
}
