import { z } from 'zod'
import { AuthError } from './errors.ts'

/** Parses a request body. GoTrue's answer to a member of the wrong type is the same as to broken JSON. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new AuthError(400, 'bad_json', `Could not parse request body as JSON: ${z.prettifyError(parsed.error)}`)
}

/** User or app metadata. */
export const metadata = z.record(z.string(), z.unknown())

/** A valid address in lower case. */
export function validEmail(value: string | undefined): string {
  if (!value) throw new AuthError(400, 'validation_failed', 'An email address is required')
  if (value.length > 255) throw new AuthError(400, 'validation_failed', 'An email address is too long')
  if (!/^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>".]+$/.test(value)) {
    throw new AuthError(400, 'validation_failed', 'Unable to validate email address: invalid format')
  }
  return value.toLowerCase()
}

/** A password that is neither empty, nor too short, nor longer than bcrypt reads. */
export function validPassword(value: string | undefined, minLength: number): string {
  if (!value) throw new AuthError(400, 'validation_failed', 'Signup requires a valid password')
  if (Buffer.byteLength(value) > 72) {
    throw new AuthError(400, 'validation_failed', 'Password cannot be longer than 72 characters')
  }
  if (value.length < minLength) {
    throw new AuthError(422, 'weak_password', `Password should be at least ${minLength} characters.`, {
      weak_password: { reasons: ['length'], message: `Password should be at least ${minLength} characters.` },
    })
  }
  return value
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a string is a UUID, so that it can be compared with a uuid column. */
export function isUuid(value: string): boolean {
  return UUID.test(value)
}
