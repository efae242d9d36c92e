/** `pnpm supabase:setup`: connects this checkout to a Supabase project, writes .env.local, proves that it works. */
import { join } from 'node:path'
import { chooseProject, type HostedContext } from './choose-project.ts'
import { type EnvFile, refuseTracked, shareWithApp, writeVariables } from './env-file.ts'
import type { Variables } from './env-text.ts'
import { SetupError } from './errors.ts'
import { setUpHosted } from './hosted.ts'
import { refuseProduction, setUpLocal, type Target } from './local.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { complete } from './questions.ts'
import { createReport, type Report } from './report.ts'
import { supabaseCli } from './supabase-cli.ts'
import { verify } from './verify.ts'

async function run(given: Options, report: Report): Promise<void> {
  const cli = supabaseCli(given)
  const options = await complete(given, cli)
  const envFile: EnvFile = {
    path: options['env-file'] ?? join(options.workdir, '.env.local'),
    template: join(options.workdir, '.env.example'),
  }
  // Before anything is changed: the last step would fail, or put a secret into a commit.
  refuseTracked(envFile.path)
  const target = options.target === 'local' ? local(options, report) : await hosted({ options, cli, report, envFile })
  if (target) await finish(options, report, envFile, target)
  if (options['dry-run']) return console.log('\nNothing was changed: this was a dry run.')
  console.log(report.changes === 0 ? '\nEverything was set up already; nothing was changed.' : '\nReady.')
}

async function hosted(context: HostedContext): Promise<Target | undefined> {
  const project = await chooseProject(context)
  return project && setUpHosted(context, project)
}

function local(options: Options, report: Report): Target | undefined {
  refuseProduction()
  if (!options['dry-run']) return setUpLocal({ port: options.port, report })
  report.would(`start the local stack on port ${options.port} unless it runs, write .env.local, verify through the API`)
  return undefined
}

async function finish(options: Options, report: Report, envFile: EnvFile, { api, variables }: Target): Promise<void> {
  write(options, report, envFile, variables)
  const version = await verify(api)
  report.same(`verified: ${api.url} answers with version ${version} of the credits to the secret key only`)
  if (options.target !== 'local' && options['production-url'] === undefined) {
    report.note('Sign-in e-mails lead to the site the project had. Set yours with --production-url.')
  }
}

function write(options: Options, report: Report, envFile: EnvFile, variables: Variables): void {
  const changed = writeVariables(envFile, variables)
  if (changed.length > 0) report.done(`wrote ${changed.join(', ')} to ${envFile.path} (mode 0600)`)
  else report.same(`${envFile.path} has the keys`)
  if (options['env-file'] !== undefined) return
  const shared = shareWithApp(join(options.workdir, 'apps', 'web'), envFile, variables)
  if (shared !== undefined) report.done(`web app: ${shared}`)
}

const report = createReport()
try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) console.log(USAGE)
  else await run(options, report)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`\n${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`)
  if (report.changes > 0) console.error('What was done stays done; run the same command again to go on.')
  process.exitCode = error.hint === USAGE ? 2 : 1
}
