import { defineCommand } from 'citty'
import { readRunning } from '../state.ts'
import { guarded, layoutFor, print, WHICH } from './shared.ts'
import { summary } from './summary.ts'

/** `stack status` */
export const status = defineCommand({
  meta: { name: 'status', description: 'Say whether the stack runs and how to reach it; exit code 1 when it does not' },
  args: { ...WHICH, json: { type: 'boolean', description: 'Print JSON' } },
  run: ({ args }) =>
    guarded(() => {
      const layout = layoutFor(args)
      const info = readRunning(layout)?.info
      if (!info) process.exitCode = 1
      if (args.json) print(JSON.stringify({ running: info !== undefined, ...info }, null, 2))
      else print(info ? summary(info) : `No stack runs in ${layout.root}.`)
    }),
})
