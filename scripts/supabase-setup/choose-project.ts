import { type EnvFile, readVariables, writeVariables } from './env-file.ts'
import { SetupError } from './errors.ts'
import type { Options } from './options.ts'
import { createProject, isIn, listProjects, newPassword, type Project } from './projects.ts'
import { mayChange } from './questions.ts'
import type { Report } from './report.ts'
import type { SupabaseCli } from './supabase-cli.ts'

/** What the steps for a hosted project share. */
export interface HostedContext {
  options: Options
  cli: SupabaseCli
  report: Report
  envFile: EnvFile
}

/**
 * The project that is meant: the one named by `--project-ref`, or a new one. A creation that was interrupted is
 * continued, and a project that an earlier run created is found again, so that none is created twice.
 *
 * @returns undefined in a dry run that would create it
 */
export async function chooseProject(context: HostedContext): Promise<Project | undefined> {
  const { options, cli } = context
  const projects = listProjects(cli)
  if (options.target === 'link') {
    const found = projects.find(({ ref }) => ref === options['project-ref'])
    if (!found) {
      throw new SetupError(
        `Your access token reaches no project ${options['project-ref']}.`,
        'Compare with `pnpm supabase projects list`.',
      )
    }
    refuseForeignPassword(context, found)
    return found
  }
  return existingCreation(context, projects) ?? (await create(context))
}

/** The project of an earlier `--target create`, finished or not. */
function existingCreation({ options, envFile }: HostedContext, projects: Project[]): Project | undefined {
  const { SUPABASE_PROJECT_REF: ref, SUPABASE_DB_PASSWORD: password } = readVariables(envFile)
  const isMeant = (project: Project) => project.name === options.name && isIn(project, options['org-id'] ?? '')
  const own = projects.find((project) => project.ref === ref)
  if (own && isMeant(own)) return own
  if (ref && password) throw foreignPassword(envFile, ref)
  const namesakes = projects.filter(isMeant)
  if (namesakes.length === 0) return undefined
  // The password is written before the project is asked for: it alone means that the answer did not come.
  const [only] = namesakes
  if (password && !ref && only && namesakes.length === 1) return only
  throw new SetupError(
    `${options['org-id']} has a project named ${options.name} already: ${namesakes.map((p) => p.ref).join(', ')}.`,
    `To use it: --target link --project-ref ${only?.ref}. To make another one: another --name.`,
  )
}

async function create({ options, report, envFile }: HostedContext): Promise<Project | undefined> {
  const { name = '', 'org-id': organization = '', region = '' } = options
  const what = `create project ${name} (${region}) in ${organization}, which may cost money`
  if (options['dry-run']) {
    report.would(`${what}; then link it, push migrations and settings, and write ${envFile.path}`)
    return undefined
  }
  if (!(await mayChange(what, options))) throw new SetupError('Nothing was changed.')
  const databasePassword = readVariables(envFile).SUPABASE_DB_PASSWORD || newPassword()
  writeVariables(envFile, { SUPABASE_DB_PASSWORD: databasePassword, SUPABASE_PROJECT_REF: '' })
  const project = await createProject({ name, organization, region, databasePassword })
  writeVariables(envFile, { SUPABASE_PROJECT_REF: project.ref })
  report.done(`created project ${name} (${project.ref}); its database password is in ${envFile.path}`)
  return project
}

/** The database password in the file is the only copy: it is not overwritten by that of another project. */
function refuseForeignPassword({ envFile }: HostedContext, project: Project): void {
  const { SUPABASE_PROJECT_REF: ref, SUPABASE_DB_PASSWORD: password } = readVariables(envFile)
  if (ref && password && ref !== project.ref) throw foreignPassword(envFile, ref)
}

function foreignPassword({ path }: EnvFile, ref: string): SetupError {
  return new SetupError(
    `${path} holds the database password of project ${ref}.`,
    'Keep it somewhere safe and remove SUPABASE_PROJECT_REF and SUPABASE_DB_PASSWORD there, or use another --env-file.',
  )
}
