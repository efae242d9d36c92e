import type { IncomingHttpHeaders } from 'node:http'
import { DEV_KEYS, type RoleKeys } from '../keys.ts'

/** Why a request may not pass, or undefined when it may. */
export type KeyRefusal = { status: 401; body: Record<string, unknown> } | undefined

/**
 * Does what Supabase's API gateway does with keys: an opaque `sb_...` key (or a legacy role key) says which role a
 * request has, unless the request carries a user's access token, which then passes through untouched. PostgREST
 * only understands tokens, so the key is exchanged for one in `headers.authorization`.
 */
export function createKeyCheck(roles: RoleKeys) {
  const tokens = new Map<string, string>([
    [DEV_KEYS.publishableKey, roles.anonKey],
    [DEV_KEYS.secretKey, roles.serviceRoleKey],
    [roles.anonKey, roles.anonKey],
    [roles.serviceRoleKey, roles.serviceRoleKey],
  ])

  return (headers: IncomingHttpHeaders, query: URLSearchParams): KeyRefusal => {
    const bearer = /^Bearer\s+(.+)$/i.exec(headers.authorization ?? '')?.[1]
    const key = [headers.apikey].flat()[0] ?? query.get('apikey') ?? undefined
    if (key === undefined && bearer === undefined) {
      const hint = 'No `apikey` request header or url param was found.'
      return { status: 401, body: { message: 'No API key found in request', hint } }
    }
    const known = key === undefined ? undefined : tokens.get(key)
    if (key !== undefined && known === undefined) return invalidKey()
    const token = bearer?.startsWith('sb_') ? tokens.get(bearer) : (bearer ?? known)
    if (token === undefined) return invalidKey()
    if (isBrowser(headers) && [key, bearer].includes(DEV_KEYS.secretKey)) {
      return { status: 401, body: { message: 'Forbidden use of secret API key in browser' } }
    }
    headers.authorization = `Bearer ${token}`
    return undefined
  }
}

function invalidKey(): KeyRefusal {
  return { status: 401, body: { message: 'Invalid API key', hint: 'Double check the provided API key.' } }
}

/** Hosted projects refuse the secret key from browsers by their user agent: it catches a leaked key early. */
function isBrowser(headers: IncomingHttpHeaders): boolean {
  return /^Mozilla\//.test(headers['user-agent'] ?? '')
}
