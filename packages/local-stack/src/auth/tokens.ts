import { randomBytes } from 'node:crypto'
import { decodeProtectedHeader, importJWK, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { messageOf } from '../errors.ts'
import { DEV_KEYS, DEV_SIGNING_JWK, PUBLIC_JWKS } from '../keys.ts'
import { AuthError } from './errors.ts'

/** The claims that Supabase puts into an access token. */
export interface AccessClaims extends JWTPayload {
  email?: string
  phone?: string
  role?: string
  session_id?: string
  is_anonymous?: boolean
}

const signingKey = importJWK(DEV_SIGNING_JWK, 'ES256')
const verifyingKey = importJWK(PUBLIC_JWKS.keys[0] ?? {}, 'ES256')
const sharedSecret = new TextEncoder().encode(DEV_KEYS.jwtSecret)

/** Signs an access token. */
export async function signAccessToken(claims: AccessClaims): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: DEV_SIGNING_JWK.kid, typ: 'JWT' })
    .sign(await signingKey)
}

/**
 * Reads a token of ours: a user's (ES256) or a role key (HS256). The algorithm is bound to its key, so a token
 * cannot choose how it is verified.
 *
 * @throws AuthError `bad_jwt`
 */
export async function verifyToken(token: string): Promise<AccessClaims> {
  try {
    const symmetric = decodeProtectedHeader(token).alg === 'HS256'
    const key = symmetric ? sharedSecret : await verifyingKey
    const { payload } = await jwtVerify(token, key, { algorithms: [symmetric ? 'HS256' : 'ES256'] })
    return payload
  } catch (error) {
    throw new AuthError(403, 'bad_jwt', `invalid JWT: unable to parse or verify signature, ${messageOf(error)}`)
  }
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** A refresh token as GoTrue makes them: twelve letters, 60 random bits. */
export function newRefreshToken(): string {
  return Array.from(randomBytes(12), (byte) => BASE32[byte & 31]).join('')
}
