import { defineCommand } from 'citty'
import { tail } from '../process/log.ts'
import { guarded, layoutFor, print, WHICH } from './shared.ts'

/** `stack logs` */
export const logs = defineCommand({
  meta: { name: 'logs', description: 'Print the end of each log' },
  args: { ...WHICH, lines: { type: 'string', description: 'Lines of each log', default: '40' } },
  run: ({ args }) =>
    guarded(() => {
      const layout = layoutFor(args)
      for (const file of [layout.serverLog, layout.postgresLog, layout.postgrestLog]) {
        print(`==> ${file}\n${tail(file, Number(args.lines) || 40)}`)
      }
    }),
})
