import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Every field of a project's auth settings, as the Management API returns them for a new project. */
const NEW_AUTH_CONFIG = JSON.parse(readFileSync(new URL('auth-config.json', import.meta.url), 'utf8')) as AuthConfig

type AuthConfig = Record<string, string | number | boolean | null>

/** A project of the loopback platform. Its database and its API are real. */
export interface PlatformProject {
  ref: string
  name: string
  status: string
  publishableKey: string
  secretKey: string
  auth: AuthConfig
}

/** A request that changes something. */
interface Change {
  method: string
  path: string
  body: Record<string, unknown>
}

/**
 * The part of Supabase's Management API that the CLI and the setup call, on a loopback port: real paths, real
 * shapes, fields that it does not know refused. Behind it stand real databases.
 */
export interface Platform {
  url: string
  projects: PlatformProject[]
  /** What was asked to change, in order. */
  changes: Change[]
  /** Called for every request, before it is answered. */
  onRequest: () => void
  /** Whether a change fails with a server error and has no effect. */
  fails: (change: Change) => boolean
  /** Whether a change takes effect but its answer is lost on the way. */
  losesAnswer: (change: Change) => boolean
  close(): Promise<void>
}

/** Which keys the next project gets: those of the API in front of its database. */
export interface Keys {
  publishableKey: string
  secretKey: string
}

/** A project as it stands after its creation. */
export function newProject(ref: string, name: string, keys: Keys): PlatformProject {
  return { ref, name, status: 'ACTIVE_HEALTHY', ...keys, auth: { ...NEW_AUTH_CONFIG } }
}

/** Starts a platform that lets in `token` and whose next project is `nextRef`. */
export async function startPlatform(options: { token: string; keys: Keys; nextRef: string }): Promise<Platform> {
  const platform: Platform = {
    url: '',
    projects: [],
    changes: [],
    onRequest: () => undefined,
    fails: () => false,
    losesAnswer: () => false,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
  const server = createServer(async (request, response) => {
    platform.onRequest()
    if (request.headers.authorization !== `Bearer ${options.token}`)
      return reply(response, 401, { message: 'Unauthorized' })
    const change = { method: request.method ?? '', path: request.url ?? '', body: await bodyOf(request) }
    if (change.method !== 'GET') platform.changes.push(change)
    if (platform.fails(change)) return reply(response, 500, { message: 'Something went wrong' })
    const [status, body] = answer(platform, change, options)
    if (platform.losesAnswer(change)) return response.destroy()
    reply(response, status, body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  platform.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return platform
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

type Answer = [status: number, body: unknown]

function answer(platform: Platform, change: Change, options: { keys: Keys; nextRef: string }): Answer {
  const { pathname } = new URL(change.path, 'http://loopback')
  if (pathname === '/v1/organizations') return [200, [{ id: 'acme', slug: 'acme', name: 'Acme' }]]
  if (pathname === '/v1/projects' && change.method === 'POST') return create(platform, change, options)
  if (pathname === '/v1/projects') return [200, list(platform)]
  const [, version, ref, rest] = /^\/(v\d)\/projects\/([a-z]{20})(?:\/(.*))?$/.exec(pathname) ?? []
  const project = platform.projects.find((candidate) => candidate.ref === ref)
  return project
    ? projectAnswer(project, `${version} ${change.method} ${rest ?? ''}`, change)
    : [404, { message: 'Project not found' }]
}

/** A project that comes up is ready when it is looked at again. */
function list(platform: Platform) {
  const bodies = platform.projects.map(projectBody)
  for (const project of platform.projects) project.status = 'ACTIVE_HEALTHY'
  return bodies
}

const CREATE_FIELDS = ['name', 'organization_slug', 'region_selection', 'db_pass']

function create(platform: Platform, { body }: Change, { keys, nextRef }: { keys: Keys; nextRef: string }): Answer {
  if (Object.keys(body).sort().join() !== [...CREATE_FIELDS].sort().join()) return [400, { message: 'bad fields' }]
  const project = { ...newProject(nextRef, String(body.name), keys), status: 'COMING_UP' }
  platform.projects.push(project)
  return [201, projectBody(project)]
}

function projectBody(project: PlatformProject) {
  return {
    id: project.ref,
    ref: project.ref,
    organization_id: 'acme',
    organization_slug: 'acme',
    name: project.name,
    region: 'eu-central-1',
    created_at: '2026-11-01T00:00:00.000Z',
    status: project.status,
    database: { host: `db.${project.ref}.loopback`, version: '17.6.1', postgres_engine: '17', release_channel: 'ga' },
  }
}

function projectAnswer(project: PlatformProject, route: string, change: Change): Answer {
  switch (route) {
    case 'v1 GET ':
      return [200, projectBody(project)]
    case 'v1 GET api-keys':
      return [200, apiKeys(project, change.path.includes('reveal=true'))]
    case 'v1 GET billing/addons':
      return [200, { selected_addons: [], available_addons: [] }]
    case 'v1 GET config/database/pooler':
      return [200, []]
    case 'v2 GET config':
      return [200, { data: { type: 'project_config', id: project.ref, attributes: configOf(project) } }]
    case 'v1 PATCH config/auth':
      return updateAuth(project, change.body)
    default:
      return [404, { message: `${route} is not part of the loopback platform` }]
  }
}

function apiKeys({ publishableKey, secretKey }: PlatformProject, reveal: boolean) {
  const hidden = `${secretKey.slice(0, 15)}··········`
  return [
    { api_key: 'legacy.anon.jwt', id: 'anon', type: 'legacy', name: 'anon' },
    { api_key: publishableKey, id: '1', type: 'publishable', name: 'default' },
    { api_key: reveal ? secretKey : hidden, id: '2', type: 'secret', name: 'default' },
  ]
}

/** The API never returns a secret, but its HMAC under the project's ref. */
function configOf({ ref, auth }: PlatformProject) {
  const masked = Object.entries(auth).map(([name, value]) =>
    name.endsWith('_secret') && typeof value === 'string'
      ? [name, createHmac('sha256', ref).update(value).digest('hex')]
      : [name, value],
  )
  return {
    auth: Object.fromEntries(masked),
    api: { db_schema: 'public,graphql_public', db_extra_search_path: 'public, extensions', max_rows: 1000 },
  }
}

function updateAuth(project: PlatformProject, body: Record<string, unknown>): Answer {
  const unknown = Object.keys(body).filter((name) => !(name in NEW_AUTH_CONFIG))
  if (unknown.length > 0) return [400, { message: `unknown fields: ${unknown.join(', ')}` }]
  Object.assign(project.auth, body)
  return [200, project.auth]
}
