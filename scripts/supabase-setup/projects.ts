import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { SetupError } from './errors.ts'
import { type SupabaseCli, withoutSecrets } from './supabase-cli.ts'

const projectSchema = z.object({
  ref: z.string(),
  name: z.string(),
  region: z.string(),
  organization_id: z.string(),
  organization_slug: z.string().optional(),
  status: z.string(),
})

/** A hosted project, as the Management API has it. */
export type Project = z.infer<typeof projectSchema>

const organizationSchema = z.object({ id: z.string(), slug: z.string().optional(), name: z.string() })

/** An organisation that the access token belongs to. */
export type Organization = z.infer<typeof organizationSchema>

/** What a new project needs. */
export interface NewProject {
  name: string
  /** Slug of the organisation, as `supabase orgs list` prints it. */
  organization: string
  region: string
  databasePassword: string
}

/** A new project takes about two minutes to come up. */
const HEALTHY_WITHIN_MS = 8 * 60_000

/** All projects that the access token reaches. */
export function listProjects(cli: SupabaseCli): Project[] {
  return cli.run(['projects', 'list'], z.object({ projects: z.array(projectSchema) })).projects
}

/** All organisations that the access token belongs to. */
export function listOrganizations(cli: SupabaseCli): Organization[] {
  return cli.run(['orgs', 'list'], z.object({ organizations: z.array(organizationSchema) })).organizations
}

/** Whether the project lies in the organisation, by whichever of its two names. */
export function isIn(project: Project, organization: string): boolean {
  return project.organization_slug === organization || project.organization_id === organization
}

/** A password for the database that needs no escaping in a URL. */
export function newPassword(): string {
  return randomBytes(24).toString('base64url')
}

/**
 * Creates a project. Through the Management API and not through `supabase projects create`, which takes the
 * database password as an argument, where every user of the machine could read it.
 *
 * @throws SetupError; when the answer was lost, it is not known whether the project exists
 */
export async function createProject(project: NewProject): Promise<Project> {
  const token = process.env.SUPABASE_ACCESS_TOKEN
  if (!token) {
    throw new SetupError(
      'Creating a project needs an access token in SUPABASE_ACCESS_TOKEN.',
      'Make one at https://supabase.com/dashboard/account/tokens. (Linking a project also works after `supabase login`.)',
    )
  }
  const response = await fetch(new URL('/v1/projects', process.env.SUPABASE_API_URL ?? 'https://api.supabase.com'), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: project.name,
      organization_slug: project.organization,
      region_selection: { type: 'specific', code: project.region },
      db_pass: project.databasePassword,
    }),
    signal: AbortSignal.timeout(60_000),
  }).catch((cause: unknown) => {
    throw new SetupError(
      `The answer of the Management API was lost (${cause instanceof Error ? cause.message : cause}); the project may have been created.`,
      'Run the same command again: it finds the project when it exists and does not create a second one.',
    )
  })
  const text = await response.text()
  if (response.ok) return projectSchema.parse(JSON.parse(text))
  throw new SetupError(
    withoutSecrets(`The project was not created (HTTP ${response.status}): ${text.slice(0, 500)}`, {
      ...process.env,
      PASSWORD: project.databasePassword,
    }),
  )
}

/**
 * Waits until the project answers.
 *
 * @throws SetupError when it failed to come up, is paused, or takes too long
 */
export async function untilHealthy(cli: SupabaseCli, ref: string): Promise<void> {
  const deadline = Date.now() + HEALTHY_WITHIN_MS
  for (let pause = 500; ; pause = Math.min(pause * 2, 10_000)) {
    const status = listProjects(cli).find((project) => project.ref === ref)?.status
    if (status === 'ACTIVE_HEALTHY') return
    const coming = status === undefined || ['COMING_UP', 'UNKNOWN', 'RESTORING', 'RESTARTING'].includes(status)
    if (!coming || Date.now() > deadline) {
      throw new SetupError(
        `Project ${ref} is not ready: ${status ?? 'not listed'}.`,
        'See https://supabase.com/dashboard. When it is active, run the same command again.',
      )
    }
    await sleep(pause)
  }
}
