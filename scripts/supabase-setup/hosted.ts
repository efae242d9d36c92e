import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { type ConfigDiff, type CurrentAuth, currentAuth, diffSchema, hostedAuth } from './auth-settings.ts'
import type { HostedContext } from './choose-project.ts'
import { databaseUrl, pushTarget } from './database.ts'
import { readVariables } from './env-file.ts'
import type { Variables } from './env-text.ts'
import { SetupError } from './errors.ts'
import type { Target } from './local.ts'
import { type Project, untilHealthy } from './projects.ts'
import { mayChange } from './questions.ts'
import { count } from './report.ts'

const pushSchema = z.object({ migrations: z.array(z.string()), seeds: z.array(z.string()) })
type Push = z.infer<typeof pushSchema>

const keysSchema = z.object({ keys: z.array(z.object({ type: z.string().nullish(), api_key: z.string().nullish() })) })

const configSchema = z.object({
  auth: z.object({ site_url: z.string(), additional_redirect_urls: z.array(z.string()) }),
})

/**
 * Brings a hosted project to the state of this checkout: linked, migrated, seeded, its settings pushed. Every step
 * is left out when there is nothing to do, so that a run after a failure goes on where the other one stopped.
 *
 * @returns how to reach it; undefined after a dry run
 */
export async function setUpHosted(context: HostedContext, project: Project): Promise<Target | undefined> {
  const { options, report } = context
  if (!options['dry-run']) {
    if (project.status !== 'ACTIVE_HEALTHY') await untilHealthy(context.cli, project.ref)
    link(context, project)
  } else if (linkedRef(options.workdir) !== project.ref) {
    report.would(`link supabase/ to ${project.name} (${project.ref})`)
  }

  const settings = wantedSettings(context, project)
  const push = pushDatabase(context, project, ['--dry-run'])
  const differences = settingsDiff(context, project, settings)
  const todo = describe(push, differences)
  if (options['dry-run']) {
    for (const change of todo) report.would(change)
    report.would(`fetch the keys of ${project.name}, write ${context.envFile.path}, verify through the API`)
    return undefined
  }
  if (!(await mayChange(`${todo.join('; ')} on ${project.name} (${project.ref})`, options))) {
    throw new SetupError('Stopped. The project was linked and not changed.')
  }
  migrate(context, project, push)
  pushSettings(context, project, settings, differences)
  return reach(context, project)
}

function linkedRef(workdir: string): string | undefined {
  const path = join(workdir, 'supabase', '.temp', 'project-ref')
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

function link({ options, cli, report }: HostedContext, project: Project): void {
  if (linkedRef(options.workdir) === project.ref) {
    report.same(`linked to ${project.name} (${project.ref})`)
    return
  }
  cli.run(['link', '--project-ref', project.ref], z.unknown())
  report.done(`linked supabase/ to ${project.name} (${project.ref})`)
}

function describe(push: Push, differences: string[]): string[] {
  const { migrations, seeds } = push
  return [
    ...(migrations.length > 0 ? [`apply ${count(migrations.length, 'migration')}`] : []),
    ...(seeds.length > 0 ? [`seed from ${seeds.join(', ')}`] : []),
    ...(differences.length > 0 ? [`change ${count(differences.length, 'setting')} (${differences.join(', ')})`] : []),
    // The CLI's diff leaves these out, so whether they differ is only known when they are pushed.
    'update e-mail templates and provider secrets that differ',
  ]
}

function pushDatabase(context: HostedContext, project: Project, flags: string[]): Push {
  const { remote, env } = pushTarget(context.envFile, project.ref)
  return context.cli.run(['db', 'push', '--include-seed', `--remote=${remote}`, ...flags], pushSchema, env)
}

function migrate(context: HostedContext, project: Project, planned: Push): void {
  const { report } = context
  if (planned.migrations.length === 0 && planned.seeds.length === 0) {
    report.same('migrations and seeds applied')
    return
  }
  const { migrations, seeds } = pushDatabase(context, project, ['--yes'])
  report.done(`applied ${count(migrations.length, 'migration')}, seeded ${count(seeds.length, 'file')}`)
}

/** config.toml with what is different on a hosted project, as variables. */
function wantedSettings(context: HostedContext, project: Project): Variables {
  const { options, cli, envFile } = context
  const { auth } = configSchema.parse(parse(readFileSync(join(options.workdir, 'supabase', 'config.toml'), 'utf8')))
  const declared: CurrentAuth = { siteUrl: auth.site_url, redirectUrls: auth.additional_redirect_urls }
  const diff = cli.run(['config', 'diff', `--remote=${project.ref}`], diffSchema)
  return hostedAuth({
    current: currentAuth(diff, declared),
    declared,
    productionUrl: options['production-url'],
    variables: { ...readVariables(envFile), ...process.env },
  })
}

/** Names of the settings that `config push` would change. */
function settingsDiff({ cli }: HostedContext, project: Project, settings: Variables): string[] {
  const diff: ConfigDiff = cli.run(['config', 'diff', `--remote=${project.ref}`], diffSchema, settings)
  return diff.changes
    .filter((change) => change.class !== 'remote_only' && change.path[0] !== 'db')
    .map(({ path }) => path.join('.'))
}

const configPushSchema = z.object({ services: z.array(z.object({ service: z.string(), status: z.string() })) })

function pushSettings(context: HostedContext, project: Project, settings: Variables, planned: string[]): void {
  const { cli, report } = context
  // Also without a difference: the diff leaves out secrets and the texts of the templates, the push compares them.
  const { services } = cli.run(['config', 'push', `--remote=${project.ref}`, '--yes'], configPushSchema, settings)
  const updated = services.filter(({ status }) => status === 'updated').map(({ service }) => service)
  const what = planned.length > 0 ? count(planned.length, 'setting') : 'templates or secrets'
  if (updated.length > 0) report.done(`pushed ${what} (${updated.join(', ')})`)
  else report.same('settings of config.toml, with confirmed e-mail addresses')
}

function reach({ options, cli, envFile, report }: HostedContext, project: Project): Target {
  const { keys } = cli.run(['projects', 'api-keys', '--reveal', `--remote=${project.ref}`], keysSchema)
  const keyOf = (type: string) => keys.find((key) => key.type === type)?.api_key ?? ''
  const [publishableKey, secretKey] = [keyOf('publishable'), keyOf('secret')]
  if (!/^sb_publishable_[\w-]+$/.test(publishableKey) || !/^sb_secret_[\w-]+$/.test(secretKey)) {
    throw new SetupError(
      `${project.name} gave no publishable and secret key.`,
      'Create both in the dashboard (Settings, API Keys). A scoped token needs api_gateway_keys_secret_read.',
    )
  }
  const url = options['api-url'] ?? `https://${project.ref}.supabase.co`
  const database = databaseUrl({ workdir: options.workdir, envFile, ref: project.ref })
  if (database === '') {
    report.note(
      'DATABASE_URL is empty: the database password is not known. `pnpm credits` needs it; set SUPABASE_DB_PASSWORD ' +
        '(dashboard: Settings, Database) and run this again.',
    )
  }
  return {
    api: { url, publishableKey, secretKey },
    variables: {
      NEXT_PUBLIC_SUPABASE_URL: url,
      NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: publishableKey,
      SUPABASE_SECRET_KEY: secretKey,
      SUPABASE_PROJECT_REF: project.ref,
      DATABASE_URL: database,
    },
  }
}
