import pg from 'pg'
import { withClient } from '../postgres/connect.ts'
import { BASE_DATABASE, createDatabase } from '../postgres/databases.ts'

/** A project of the local organisation: a database in the local cluster. */
export interface LocalProject {
  id: string
  ref: string
  organization_id: string
  organization_slug: string
  name: string
  status: string
  created_at: string
  region: string
}

/** The one organisation there is. */
export const ORGANIZATION = { id: 'local', slug: 'local', name: 'Local stack' } as const

/** The project that the stack itself serves. */
export const MAIN_PROJECT = 'local'

/** The database of a project. */
export function databaseOf(ref: string): string {
  return ref === MAIN_PROJECT ? 'postgres' : ref
}

/** Every project. */
export async function listProjects(port: number): Promise<LocalProject[]> {
  return withClient({ port, user: 'supabase_admin' }, async (admin) => {
    const { rows } = await admin.query<{ name: string; note: string | null }>(
      `select datname as name, shobj_description(oid, 'pg_database') as note from pg_database
        where not datistemplate and datname !~ '^(stack_|clone_)' order by datname <> 'postgres', datname`,
    )
    return rows.map(({ name, note }) =>
      name === 'postgres' ? project(MAIN_PROJECT, 'Local stack') : project(name, note ?? name),
    )
  })
}

/** The project with this ref. */
export async function requireProject(port: number, ref: string): Promise<LocalProject> {
  const found = (await listProjects(port)).find((candidate) => candidate.ref === ref)
  if (!found) throw new Error(`Project ${ref} not found`)
  return found
}

/** Creates a project: a database as empty as a new hosted one. */
export async function createProject(port: number, name: string): Promise<LocalProject> {
  const ref = refOf(name)
  const taken = (await listProjects(port)).some((candidate) => candidate.ref === ref)
  if (taken) throw new Error(`Project ${ref} already exists`)
  await createDatabase(port, ref, BASE_DATABASE)
  await withClient({ port, user: 'supabase_admin' }, (admin) =>
    admin.query(`comment on database ${pg.escapeIdentifier(ref)} is ${pg.escapeLiteral(name)}`),
  )
  return { ...project(ref, name), created_at: new Date().toISOString() }
}

/** A name for people becomes a name for the database. */
function refOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 40)
  if (plain === '') throw new Error('A project needs a name with letters or digits')
  const reserved = /^(stack_|clone_|template\d|postgres$|local$|\d)/.test(plain)
  return reserved ? `project_${plain}` : plain
}

function project(ref: string, name: string): LocalProject {
  const owner = { organization_id: ORGANIZATION.id, organization_slug: ORGANIZATION.slug }
  return {
    id: ref,
    ref,
    ...owner,
    name,
    status: 'ACTIVE_HEALTHY',
    created_at: new Date(0).toISOString(),
    region: 'local',
  }
}
