import { CreditError, type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'

/** What a driver or PostgREST reports; all fields may be missing. */
interface DatabaseError {
  code?: string | undefined
  message?: string | undefined
  /** postgrest-js */
  details?: string | null | undefined
  /** pg, postgres.js */
  detail?: string | null | undefined
  hint?: string | null | undefined
  /** HTTP status; 0 when there was no answer. */
  status?: number | undefined
}

/**
 * What is known after a failed attempt:
 * `refused`, the database decided and said so; `not-sent`, nothing can have happened; `lost`, it may have happened.
 */
export type Failure =
  | { kind: 'refused'; error: CreditError }
  | { kind: 'not-sent'; cause: unknown }
  | { kind: 'lost'; cause: unknown }

// Node's codes, undici's and postgres.js's: the connection was never made, so the request cannot have arrived.
const NOT_SENT =
  /\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CONNECT_TIMEOUT|timeout exceeded when trying to connect)\b/
const SQLSTATE = /^[0-9A-Z]{5}$/
const PGRST = /^PGRST\d{3}$/

const BUSY = new Set(['55P03', '40001', '40P01', '57014', 'PGRST003'])
/** The database could not be reached, or does not write at the moment. */
const UNREACHABLE = new Set(['57P03', '08001', '08004', '25006', 'PGRST000', 'PGRST001', 'PGRST002'])
/** The server went away with the question: a commit may still have happened. */
const CUT_OFF = new Set(['57P01', '57P02', '57P05', '08000', '08003', '08006', '08007', '08P01'])
const WRONG_KEY = new Set(['42501', 'PGRST300', 'PGRST301', 'PGRST302', 'PGRST303'])
const NOT_INSTALLED = new Set(['42883', '42P01', '42704', '3F000', 'PGRST106', 'PGRST202', 'PGRST205'])

/**
 * The one mapping of database failures to our codes, for both SQL adapters.
 *
 * @param thrown the error of `pg`, `postgres` or supabase-js, whatever its class
 */
export function failureOf(thrown: unknown): Failure {
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) }) as DatabaseError
  const code = typeof error.code === 'string' ? error.code : ''
  const known = SQLSTATE.test(code) || PGRST.test(code) ? byCode(code, error, thrown) : byStatus(error, thrown)
  if (known !== undefined) return known
  const text = `${code} ${error.message ?? ''} ${error.details ?? ''} ${causeCode(thrown)}`
  return NOT_SENT.test(text) ? { kind: 'not-sent', cause: thrown } : { kind: 'lost', cause: thrown }
}

function byCode(code: string, error: DatabaseError, cause: unknown): Failure {
  if (code.startsWith('PT')) return { kind: 'refused', error: ours(error, cause) }
  if (BUSY.has(code) || code.startsWith('53')) return refused('STORE_BUSY', cause)
  if (UNREACHABLE.has(code)) return { kind: 'not-sent', cause }
  if (CUT_OFF.has(code)) return { kind: 'lost', cause }
  if (WRONG_KEY.has(code) || code.startsWith('28')) {
    return refused(
      'CONFIG_INVALID',
      cause,
      'The database refused the key: a credits store needs the secret (service role) key',
      code,
    )
  }
  if (NOT_INSTALLED.has(code)) {
    return refused(
      'CONFIG_INVALID',
      cause,
      'The credits schema is missing or old: run `npx credits init` and apply the migrations',
      code,
    )
  }
  // Data that no type or constraint takes. The text of these errors may quote data, so it stays in the cause.
  if (code.startsWith('22') || code === '23514' || code === '23502' || code === 'PGRST102' || code === 'PGRST100') {
    return refused('INVALID_INPUT', cause, 'The database refused a value', code)
  }
  return refused('INTERNAL', cause, 'The database failed', code)
}

/** An answer without a code of Postgres or PostgREST comes from a proxy on the way. */
function byStatus({ status }: DatabaseError, cause: unknown): Failure | undefined {
  if (status === undefined || status < 400) return undefined
  if (status === 401 || status === 403) {
    return refused(
      'CONFIG_INVALID',
      cause,
      'The API refused the key: a credits store needs the secret (service role) key',
      String(status),
    )
  }
  if (status === 429) return refused('STORE_BUSY', cause)
  if (status === 503) return { kind: 'not-sent', cause }
  if (status >= 500) return { kind: 'lost', cause }
  return refused('INTERNAL', cause, 'The API refused the request', String(status))
}

/** An error that our functions raised: message = code, detail = JSON. */
function ours(error: DatabaseError, cause: unknown): CreditError {
  const code = error.message ?? ''
  if (!Object.hasOwn(ERROR_CODES, code)) return new CreditError({ code: 'INTERNAL', cause })
  const details = parsed(error.details ?? error.detail)
  const { field, expected, ...rest } = details
  if (field === undefined) return new CreditError({ code: code as CreditErrorCode, details, cause })
  // SQL names the parameter a `field`; everywhere else in this package it is a path.
  const issue = expected === undefined ? 'is not valid' : `expected ${String(expected)}`
  const message = `${String(field)}: ${issue}`
  return new CreditError({
    code: code as CreditErrorCode,
    message,
    details: { ...rest, issues: [{ path: String(field), message: issue }] },
    cause,
  })
}

function parsed(detail: string | null | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(detail ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function refused(code: CreditErrorCode, cause: unknown, message?: string, sqlstate?: string): Failure {
  const details = sqlstate === undefined ? {} : { sqlstate }
  return { kind: 'refused', error: new CreditError({ code, details, cause, ...(message && { message }) }) }
}

function causeCode(thrown: unknown): string {
  const cause: unknown = thrown instanceof Error ? thrown.cause : undefined
  return typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : ''
}
