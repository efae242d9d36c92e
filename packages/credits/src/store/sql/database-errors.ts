import { CreditError, type CreditErrorCode, ERROR_CODES } from '../../core/errors.ts'

/** What a driver or PostgREST reports; all fields may be missing. */
interface DatabaseError {
  code?: string | undefined
  message?: string | undefined
  /** postgrest-js */
  details?: string | null | undefined
  /** pg, postgres.js */
  detail?: string | null | undefined
  /** HTTP status; 0 when there was no answer. Undefined on a direct connection. */
  status?: number | undefined
}

/** A failed call to the database. */
export interface DatabaseFailure {
  /**
   * - `answered`: one of our functions refused; it had looked for the call's id first.
   * - `refused`: Postgres or the API refused the request, and nothing happened.
   * - `busy`: the database had no room for it, and nothing happened.
   * - `not-sent`: the request cannot have arrived.
   * - `unknown`: the request may have been carried out.
   */
  outcome: 'answered' | 'refused' | 'busy' | 'not-sent' | 'unknown'
  /** The error for the caller, when no other attempt is made. */
  error: CreditError
}

// Node's codes, undici's, pg's message and postgres.js's code for a connection that was never made.
const NOT_SENT =
  /\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CONNECT_TIMEOUT|timeout exceeded when trying to connect)\b/
// Node's EPIPE has the form of a SQLSTATE; no class of SQLSTATE begins with E.
const SQLSTATE = /^(?!E)[0-9A-Z]{5}$/
const POSTGREST = /^PGRST[0-9]{3}$/

const BUSY = new Set(['55P03', '40001', '40P01', '57014', 'PGRST003'])
/** The database cannot be reached or does not write at the moment: the statement did not begin. */
const AWAY = new Set(['57P03', '08001', '08004', '25006', 'PGRST000', 'PGRST002'])
/** The connection broke under the statement: a commit may still have happened. */
const CUT = new Set(['40003', '57P01', '57P02', '57P05', '08000', '08003', '08006', '08007', '08P01', 'PGRST001'])
const BAD_PASSWORD = new Set(['28000', '28P01'])
const BAD_KEY = new Set(['PGRST300', 'PGRST301', 'PGRST302', 'PGRST303'])
const NOT_INSTALLED = new Set(['42883', '42P01', '42704', '3F000', 'PGRST106', 'PGRST202', 'PGRST205'])
const BAD_VALUE = new Set(['23502', '23514', 'PGRST100', 'PGRST102'])

const MESSAGES = {
  apiKey: 'The API refused the key: a credits store needs the secret (service role) key',
  role: "The connection's role may not execute the credits functions: connect as service_role or as their owner",
  password: 'Postgres refused the user name or password of the connection string',
  database: 'The database that the connection string names does not exist',
  schema:
    'The credits schema is missing or of another version: run `npx @layers/credits init` and apply the migrations',
  page: 'The URL answered with something else than JSON, a web page for example: is it the URL of the Supabase project?',
  value: 'The database refused a value',
} as const

/**
 * What a failed call means: the one mapping of database errors to our codes, for both SQL adapters and the command line.
 * The text of a foreign error may quote data, so it stays in `cause`.
 *
 * @param thrown the error of `pg`, postgres.js or supabase-js, of any class
 */
export function classifyDatabaseError(thrown: unknown): DatabaseFailure {
  if (CreditError.isInstance(thrown)) return { outcome: 'refused', error: thrown }
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) }) as DatabaseError
  const code = typeof error.code === 'string' ? error.code : ''
  if (SQLSTATE.test(code) || POSTGREST.test(code)) return classifyCode(code, error, thrown)
  return classifyWithoutCode(error, thrown)
}

function classifyCode(code: string, error: DatabaseError, cause: unknown): DatabaseFailure {
  if (code.startsWith('PT')) return { outcome: 'answered', error: functionError(error, cause) }
  if (BUSY.has(code) || code.startsWith('53')) return { outcome: 'busy', error: creditError('STORE_BUSY', cause) }
  if (AWAY.has(code)) return { outcome: 'not-sent', error: unavailable(cause, code) }
  if (CUT.has(code)) return { outcome: 'unknown', error: unavailable(cause, code) }
  if (BAD_KEY.has(code)) return misconfigured(MESSAGES.apiKey, cause, code)
  if (code === '42501') return misconfigured(error.status === undefined ? MESSAGES.role : MESSAGES.apiKey, cause, code)
  if (BAD_PASSWORD.has(code)) return misconfigured(MESSAGES.password, cause, code)
  if (code === '3D000') return misconfigured(MESSAGES.database, cause, code)
  if (NOT_INSTALLED.has(code)) return misconfigured(MESSAGES.schema, cause, code)
  if (BAD_VALUE.has(code) || code.startsWith('22')) {
    const details = { issues: [{ path: '', message: MESSAGES.value }], sqlstate: code }
    return { outcome: 'refused', error: creditError('INVALID_INPUT', cause, MESSAGES.value, details) }
  }
  const message = `The database failed (${code})`
  return { outcome: 'refused', error: creditError('INTERNAL', cause, message, { sqlstate: code }) }
}

/**
 * An answer without a code of Postgres or PostgREST proves nothing: PostgREST 12 answers a COMMIT whose connection died
 * with status 400 and an empty code, and a proxy may answer after it has passed the request on. Only the two answers
 * that a gateway gives before it passes a request on are definite: a refused key and a rate limit.
 */
function classifyWithoutCode(error: DatabaseError, cause: unknown): DatabaseFailure {
  const { status = 0, message = '' } = error
  if (status === 401 || status === 403) return misconfigured(MESSAGES.apiKey, cause, String(status))
  if (status === 429) return { outcome: 'busy', error: creditError('STORE_BUSY', cause) }
  const text = `${error.code ?? ''} ${message} ${error.details ?? ''} ${codeOfCause(cause)}`
  const [notSent] = NOT_SENT.exec(text) ?? []
  if (notSent !== undefined) return { outcome: 'not-sent', error: unavailable(cause, notSent) }
  if (status > 0 && message !== '') {
    // A body that is not JSON is the whole message of postgrest-js. It stays out of the error.
    const page = new Error(`HTTP ${status} with a body that is not an answer of PostgREST`)
    return { outcome: 'unknown', error: creditError('STORE_UNAVAILABLE', page, MESSAGES.page) }
  }
  return { outcome: 'unknown', error: unavailable(cause) }
}

/** An error that one of our functions raised: message = code, detail = JSON. */
function functionError(error: DatabaseError, cause: unknown): CreditError {
  const code = error.message ?? ''
  if (!Object.hasOwn(ERROR_CODES, code)) {
    const message = 'The database refused with a code of another version: update this package'
    return creditError('INTERNAL', cause, message)
  }
  const details = parseDetails(error.details ?? error.detail)
  return creditError(code as CreditErrorCode, cause, firstIssue(details), details)
}

function firstIssue({ issues }: Record<string, unknown>): string | undefined {
  const [issue] = Array.isArray(issues) ? (issues as { path: string; message: string }[]) : []
  return issue && `${issue.path}: ${issue.message}`
}

function parseDetails(detail: string | null | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(detail ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function misconfigured(message: string, cause: unknown, sqlstate: string): DatabaseFailure {
  return { outcome: 'refused', error: creditError('CONFIG_INVALID', cause, message, { sqlstate }) }
}

function unavailable(cause: unknown, reason?: string): CreditError {
  const message = `The database cannot be reached${reason === undefined ? '' : ` (${reason})`}`
  return creditError('STORE_UNAVAILABLE', cause, message)
}

function creditError(
  code: CreditErrorCode,
  cause: unknown,
  message?: string,
  details: Record<string, unknown> = {},
): CreditError {
  return new CreditError({ code, details, cause, ...(message && { message }) })
}

function codeOfCause(thrown: unknown): string {
  const cause: unknown = thrown instanceof Error ? thrown.cause : undefined
  return typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : ''
}
