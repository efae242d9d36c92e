/** Codes of everything that can keep the local stack from working. */
export type StackErrorCode =
  | 'ALREADY_RUNNING'
  | 'BINARY_MISSING'
  | 'DATA_DIR_VERSION'
  | 'DATA_DIR_UNREACHABLE'
  | 'INVALID_OPTION'
  | 'MIGRATION_FAILED'
  | 'NO_UNPRIVILEGED_USER'
  | 'NOT_RUNNING'
  | 'PORT_IN_USE'
  | 'POSTGRES_FAILED'
  | 'POSTGREST_FAILED'
  | 'PRODUCTION_REFUSED'
  | 'SEED_FAILED'
  | 'START_TIMEOUT'

/**
 * A problem with the local stack, said with a code, a sentence and, where there is one, the way out.
 *
 * @example
 * try { await startStack({ port: 54321 }) } catch (error) {
 *   if (error instanceof StackError && error.code === 'PORT_IN_USE') { ... }
 * }
 */
export class StackError extends Error {
  readonly code: StackErrorCode
  /** What to do about it. */
  readonly hint: string | undefined

  constructor(code: StackErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StackError'
    this.code = code
    this.hint = options.hint
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
