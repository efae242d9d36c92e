import { defineCommand, runCommand, showUsage } from 'citty'
import { report } from './command.ts'
import { loadEnvironment } from './database.ts'
import { doctor } from './doctor.ts'
import { exportLedger } from './export.ts'
import { grant } from './grant.ts'
import { init } from './init.ts'
import { version } from './package-root.ts'
import { rates } from './rates.ts'
import { reconcile } from './reconcile.ts'
import { reconcileCosts } from './reconcile-costs.ts'
import { report as reports } from './report.ts'
import { verify } from './verify.ts'
import { whatIf } from './what-if.ts'

const commands = {
  init,
  doctor,
  verify,
  reconcile,
  grant,
  rates,
  report: reports,
  'what-if': whatIf,
  'reconcile-costs': reconcileCosts,
  export: exportLedger,
}

const credits = defineCommand({
  meta: {
    name: 'credits',
    version,
    description: 'Operate @layers/credits. Exit 0: fine, 1: a finding, 2: could not run.',
  },
  subCommands: commands,
})

async function main(rawArgs: string[]): Promise<void> {
  const [name, nested] = rawArgs
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version}\n`)
    return
  }
  if (name === undefined || rawArgs.includes('--help') || rawArgs.includes('-h')) {
    await showUsage(usageOf(name, nested), name === undefined || name.startsWith('-') ? undefined : credits)
    return
  }
  loadEnvironment()
  await runCommand(credits, { rawArgs })
}

function usageOf(name: string | undefined, nested: string | undefined) {
  if (name === undefined || !Object.hasOwn(commands, name)) return credits
  // Their arguments differ, which does not matter to the help.
  const command = commands[name as keyof typeof commands] as unknown as typeof credits
  const inner = command.subCommands as Record<string, typeof credits> | undefined
  return (nested !== undefined && inner?.[nested]) || command
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  report(error, process.argv.includes('--json'))
  process.exitCode = 2
}
