import { type CreditsHandlers, type CreditsHandlersOptions, createCreditsHandlers } from '../../src/http/index.ts'
import type { Route } from '../../src/http/route.ts'
import { routes } from '../../src/http/routes.ts'
import { createCredits, type MemoryStore, memoryStore } from '../../src/index.ts'

export const ORIGIN = 'https://app.example'
export const SONNET = 'anthropic/claude-sonnet-4.5'

/** The API over a memory store, with three people, each known by a cookie or a bearer token. */
export interface Api {
  handlers: CreditsHandlers
  store: MemoryStore
  credits: ReturnType<typeof createCredits>
  userId: string
  otherId: string
  adminId: string
  /** Every error that the handlers gave to `onError`. */
  errors: unknown[]
  /** Sends a request the way a page of the app does. */
  send(path: string, init?: SendInit): Promise<Response>
}

export interface SendInit {
  as?: 'user' | 'other' | 'admin' | 'nobody'
  method?: string
  body?: unknown
  headers?: Record<string, string | null>
  /** Sent as it is instead of `body`. */
  raw?: string
}

export function makeApi(options: Partial<CreditsHandlersOptions> = {}): Api {
  const store = memoryStore({
    rates: [
      { modelId: SONNET, pricing: { input: '0.000003', output: '0.000015' } },
      { modelId: 'openai/gpt-5', pricing: { input: '0.00000125', output: '0.00001' } },
      { modelId: 'acme/unpriced', pricing: null },
    ],
  })
  const people = { user: store.createAccount(), other: store.createAccount(), admin: store.createAccount() }
  const byToken = new Map(
    Object.entries(people).map(([name, { userId }]) => [name, { id: userId, isAdmin: name === 'admin' }]),
  )
  const credits = createCredits({ store, upgradeUrl: '/upgrade' })
  const errors: unknown[] = []
  const handlers = createCreditsHandlers({
    credits,
    upgradeUrl: '/upgrade',
    onError: (error) => errors.push(error),
    getUser: (request) => {
      const token = /bearer (\w+)/i.exec(request.headers.get('authorization') ?? '')?.[1]
      const cookie = /session=(\w+)/.exec(request.headers.get('cookie') ?? '')?.[1]
      return byToken.get(token ?? cookie ?? '') ?? null
    },
    ...options,
  })
  const send = (path: string, init: SendInit = {}) => {
    const { as = 'user', method = 'GET', body, headers = {}, raw } = init
    const all = new Headers({ host: 'app.example', origin: ORIGIN })
    if (as !== 'nobody') all.set('cookie', `session=${as}`)
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    if (text !== undefined) all.set('content-type', 'application/json')
    for (const [name, value] of Object.entries(headers)) value === null ? all.delete(name) : all.set(name, value)
    return handlers.handle(new Request(`${ORIGIN}/api${path}`, { method, headers: all, body: text ?? null }))
  }
  return {
    handlers,
    store,
    credits,
    errors,
    send,
    userId: people.user.userId,
    otherId: people.other.userId,
    adminId: people.admin.userId,
  }
}

/** A request that each row of the route table accepts from an admin. */
export interface Call {
  name: string
  path: string
  init: SendInit
  route: Route
}

const TARGETS: Record<string, string> = { model: SONNET }
const BODIES: Record<string, unknown> = { PUT: { marginPercent: '1' } }

/** The route table as requests: a row that is added to it is part of every test that runs over these. */
export const calls: Call[] = routes.map((route) => {
  const path = route.path.replace(/\{(\w+)\}/, (_, name: string) => TARGETS[name] ?? '')
  const init: SendInit = { method: route.method, ...(route.body && { body: BODIES[route.method] }) }
  return { name: `${route.method} ${route.path}`, path, init, route }
})

/** Status and code of a problem answer, after checking that it is one. */
export async function problemOf(
  response: Response,
): Promise<{ status: number; code: unknown; body: Record<string, unknown> }> {
  const body = (await response.json()) as Record<string, unknown>
  const type = response.headers.get('content-type')
  if (type !== 'application/problem+json') throw new Error(`not a problem: ${response.status} ${type}`)
  if (body.status !== response.status)
    throw new Error(`status ${body.status} in the body, ${response.status} on the wire`)
  return { status: response.status, code: body.code, body }
}
