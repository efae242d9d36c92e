import { cancel, confirm, isCancel, select, text } from '@clack/prompts'
import { z } from 'zod'
import { SetupError } from './errors.ts'
import { type Options, REGIONS, type TargetKind, USAGE } from './options.ts'
import { listOrganizations, listProjects } from './projects.ts'
import type { SupabaseCli } from './supabase-cli.ts'

/** Whether there is a person to answer. */
function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true && !process.env.CI
}

/**
 * Asks for what the command line left open.
 *
 * @throws SetupError naming the missing option when there is no person to answer
 */
export async function complete(options: Options, cli: SupabaseCli): Promise<Options & { target: TargetKind }> {
  const target = options.target ?? (canAsk() ? await askTarget() : missing('--target'))
  if (target === 'local') return { ...options, target }
  const productionUrl = options['production-url'] ?? (canAsk() ? await askProductionUrl() : undefined)
  const hosted = { ...options, target, ...(productionUrl && { 'production-url': productionUrl }) }
  if (target === 'link') {
    return { ...hosted, 'project-ref': options['project-ref'] ?? (await askOr('--project-ref', () => askProject(cli))) }
  }
  return {
    ...hosted,
    'org-id': options['org-id'] ?? (await askOr('--org-id', () => askOrganization(cli))),
    name: options.name ?? (await askOr('--name', askName)),
    region: options.region ?? (await askOr('--region', askRegion)),
  }
}

/** Asks before a hosted project is changed. */
export async function mayChange(what: string, { yes }: { yes: boolean }): Promise<boolean> {
  if (yes) return true
  if (!canAsk()) {
    throw new SetupError(
      `This would change a hosted project: ${what}.`,
      'Add --yes to do it, or --dry-run to see more.',
    )
  }
  return answered(await confirm({ message: `${what}. Go ahead?`, initialValue: false }))
}

function missing(option: string): never {
  throw new SetupError(`${option} is missing.`, USAGE)
}

function askOr<T>(option: string, ask: () => Promise<T>): Promise<T> {
  return canAsk() ? ask() : missing(option)
}

/** Ctrl+C in a question ends the setup. */
function answered<T>(answer: T): Exclude<T, symbol> {
  if (!isCancel(answer)) return answer as Exclude<T, symbol>
  cancel('Stopped.')
  process.exit(130)
}

async function askTarget(): Promise<TargetKind> {
  const choice = await select<TargetKind>({
    message: 'Which Supabase is this app going to use?',
    options: [
      { value: 'local', label: 'The local stack', hint: 'no Docker, no account, works offline' },
      { value: 'link', label: 'A hosted project that I have' },
      { value: 'create', label: 'A new hosted project' },
    ],
  })
  return answered(choice)
}

async function askProject(cli: SupabaseCli): Promise<string> {
  const projects = listProjects(cli)
  if (projects.length === 0) throw new SetupError('Your access token reaches no project.', 'Use --target create.')
  const options = projects.map(({ ref, name, region, status }) => ({
    value: ref,
    label: `${name} (${ref})`,
    hint: `${region}, ${status}`,
  }))
  return answered(await select<string>({ message: 'Which project?', options }))
}

async function askOrganization(cli: SupabaseCli): Promise<string> {
  const options = listOrganizations(cli).map(({ id, slug, name }) => ({ value: slug ?? id, label: name }))
  if (options.length === 0) {
    throw new SetupError('Your access token reaches no organisation.', 'Make one at https://supabase.com/dashboard.')
  }
  return answered(await select<string>({ message: 'In which organisation?', options }))
}

async function askName(): Promise<string> {
  const validate = (value: string | undefined) => (value?.trim() ? undefined : 'A project needs a name.')
  return answered(await text({ message: 'Name of the project?', validate })).trim()
}

async function askRegion(): Promise<(typeof REGIONS)[number]> {
  const options = REGIONS.map((value) => ({ value }))
  return answered(await select<(typeof REGIONS)[number]>({ message: 'In which region?', options }))
}

async function askProductionUrl(): Promise<string | undefined> {
  const isUrl = (value: string) => z.url({ protocol: /^https?$/ }).safeParse(value).success
  const answer = await text({
    message: 'Where will the app run in production? (Enter: not known yet)',
    placeholder: 'https://app.example.com',
    validate: (value) => (!value || isUrl(value) ? undefined : 'An address such as https://app.example.com'),
  })
  return answered(answer) || undefined
}
