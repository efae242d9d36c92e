import { type JSONWebKeySet, type JWK, SignJWT } from 'jose'

/**
 * The public development constants of the Supabase CLI: `supabase start` uses the same ones, so one `.env.local`
 * fits both. They protect nothing, which is why the stack listens on the loopback address only and refuses to
 * run with NODE_ENV=production.
 */
export const DEV_KEYS = {
  jwtSecret: 'super-secret-jwt-token-with-at-least-32-characters-long',
  publishableKey: 'sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH',
  secretKey: 'sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz',
  gatewayApiKey: 'dev-local-model-gateway',
} as const

/** The key that signs access tokens; also the one that `supabase gen bearer-jwt` signs with. */
export const DEV_SIGNING_JWK = {
  kty: 'EC',
  kid: 'b81269f1-21d8-4f2e-b719-c2240a840d90',
  use: 'sig',
  alg: 'ES256',
  crv: 'P-256',
  x: 'M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4',
  y: 'P6IXMvA2WYXSHSOMTBH2jsw_9rrzGy89FjPf6oOsIxQ',
  d: 'dIhR8wywJlqlua4y_yMq2SLhlFXDZJBCvFrY1DCHyVU',
} as const satisfies JWK

/** The set that clients read to verify access tokens themselves. */
export const PUBLIC_JWKS: JSONWebKeySet = { keys: [publicPart(DEV_SIGNING_JWK)] }

/** The set that PostgREST verifies with: user tokens (ES256) and role keys (HS256). */
export const POSTGREST_JWKS: JSONWebKeySet = {
  keys: [...PUBLIC_JWKS.keys, { kty: 'oct', alg: 'HS256', k: Buffer.from(DEV_KEYS.jwtSecret).toString('base64url') }],
}

/** The legacy API keys: long-lived role tokens, equal to those of `supabase start`. */
export interface RoleKeys {
  anonKey: string
  serviceRoleKey: string
}

/** Signs the two role keys. */
export async function roleKeys(): Promise<RoleKeys> {
  const [anonKey, serviceRoleKey] = await Promise.all([roleKey('anon'), roleKey('service_role')])
  return { anonKey, serviceRoleKey }
}

function roleKey(role: string): Promise<string> {
  return new SignJWT({ iss: 'supabase-demo', role, exp: 1983812996 })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(DEV_KEYS.jwtSecret))
}

function publicPart(jwk: JWK): JWK {
  const { d: _private, ...rest } = jwk
  return { ...rest, key_ops: ['verify'] }
}
