import { type CommandDef, defineCommand, runCommand } from 'citty'
import { invalidInput } from '../core/errors.ts'
import { admin } from './admin.ts'
import { report } from './command.ts'
import { compareCosts } from './compare-costs.ts'
import { loadEnvironment } from './database.ts'
import { doctor } from './doctor.ts'
import { erase } from './erase.ts'
import { exportLedger } from './export.ts'
import { nearest } from './flags.ts'
import { freeze } from './freeze.ts'
import { grant } from './grant.ts'
import { helpText } from './help.ts'
import { init } from './init.ts'
import { version } from './package-root.ts'
import { plan } from './plan.ts'
import { rates } from './rates.ts'
import { reconcile } from './reconcile.ts'
import { report as reports } from './report.ts'
import { uninstall } from './uninstall.ts'
import { verify } from './verify.ts'
import { whatIf } from './what-if.ts'

const commands = {
  init,
  doctor,
  verify,
  reconcile,
  grant,
  freeze,
  plan,
  admin,
  erase,
  rates,
  report: reports,
  'what-if': whatIf,
  'compare-costs': compareCosts,
  export: exportLedger,
  uninstall,
}

// Their arguments differ, which does not matter to the help.
const credits = defineCommand({
  meta: {
    name: 'credits',
    version,
    description: 'Operate @layers/credits. Exit 0: fine, 1: a finding, 2: could not run.',
  },
  subCommands: commands as unknown as Record<string, CommandDef>,
}) as CommandDef

async function main(rawArgs: string[]): Promise<void> {
  const [name] = rawArgs
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version}\n`)
    return
  }
  if (name === undefined || name === 'help' || rawArgs.includes('--help') || rawArgs.includes('-h')) {
    const path = rawArgs.filter((arg) => !arg.startsWith('-') && arg !== 'help')
    process.stdout.write(await helpText(credits, path))
    return
  }
  refuseUnknownCommand(name, Object.keys(commands))
  loadEnvironment()
  await runCommand(credits, { rawArgs })
}

function refuseUnknownCommand(name: string, known: readonly string[]): void {
  if (known.includes(name)) return
  const [guess] = nearest(name, known)
  throw invalidInput(name, `unknown command${guess === undefined ? '' : `; did you mean "${guess}"?`} See --help`)
}

// A reader that has seen enough (`credits rates | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  await main(process.argv.slice(2))
} catch (error) {
  report(error, process.argv.includes('--json'))
  process.exitCode = 2
}
