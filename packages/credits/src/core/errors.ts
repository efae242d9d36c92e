/**
 * Every way a credits operation can fail, in one table: code -> HTTP status -> retryable.
 * SQL raises the same code as the message of SQLSTATE `PT<status>`, so one row here serves
 * PostgREST, a direct connection and the HTTP handlers. docs/errors.md has an anchor per code.
 */
export const ERROR_CODES = {
  INSUFFICIENT_CREDITS: { status: 402, retryable: false, title: 'Not enough credits' },
  UNAUTHENTICATED: { status: 401, retryable: false, title: 'Sign in first' },
  FORBIDDEN: { status: 403, retryable: false, title: 'Not allowed' },
  ACCOUNT_FROZEN: { status: 403, retryable: false, title: 'This account is frozen' },
  ACCOUNT_NOT_FOUND: { status: 404, retryable: false, title: 'No such account' },
  RESERVATION_NOT_FOUND: { status: 404, retryable: false, title: 'No such reservation' },
  TRANSACTION_NOT_FOUND: { status: 404, retryable: false, title: 'No such transaction' },
  NOT_FOUND: { status: 404, retryable: false, title: 'Not found' },
  METHOD_NOT_ALLOWED: { status: 405, retryable: false, title: 'Method not allowed' },
  RESERVATION_CLOSED: { status: 409, retryable: false, title: 'The reservation is already closed' },
  IDEMPOTENCY_MISMATCH: { status: 409, retryable: false, title: 'The idempotency key was used with other parameters' },
  VERSION_CONFLICT: { status: 409, retryable: false, title: 'Somebody else changed this first' },
  REFUND_EXCEEDS_ORIGINAL: { status: 409, retryable: false, title: 'A refund cannot exceed its original' },
  INVALID_INPUT: { status: 422, retryable: false, title: 'Invalid input' },
  UNKNOWN_MODEL: { status: 422, retryable: false, title: 'No price is known for this model' },
  USAGE_MISSING: { status: 422, retryable: false, title: 'The usage has no count that is known' },
  LIMIT_EXCEEDED: { status: 429, retryable: true, title: 'Too many open reservations' },
  INTERNAL: { status: 500, retryable: false, title: 'Something went wrong' },
  CONFIG_INVALID: { status: 500, retryable: false, title: 'The server is not configured' },
  SPENDING_FROZEN: { status: 503, retryable: true, title: 'Spending is paused' },
  STORE_UNAVAILABLE: { status: 503, retryable: true, title: 'The credits store cannot be reached' },
  STORE_BUSY: { status: 503, retryable: true, title: 'The credits store is busy; nothing happened' },
  OUTCOME_UNKNOWN: { status: 503, retryable: true, title: 'The outcome is unknown; repeat with the same key' },
  PROVIDER_UNAVAILABLE: { status: 503, retryable: true, title: 'The model provider refused the call' },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>

/** One of the stable, documented codes. Branch on it; never on a message. */
export type CreditErrorCode = keyof typeof ERROR_CODES

/** Machine-readable facts about a failure; amounts are decimal strings of credits. */
export type CreditErrorDetails = Readonly<Record<string, unknown>>

/** What {@link CreditError} is made from. */
export interface CreditErrorInput {
  code: CreditErrorCode
  /** A sentence for a developer; defaults to the code's title. Never holds a secret or another user's data. */
  message?: string
  details?: CreditErrorDetails
  cause?: unknown
}

const MARKER = Symbol.for('layers.credits.error')
// The AI SDK recognises its errors by these two symbols; carrying them makes `AISDKError.isInstance`
// answer true without this package importing the SDK.
const AI_SDK_MARKERS = [Symbol.for('vercel.ai.error'), Symbol.for('vercel.ai.error.AI_CreditError')] as const

/**
 * The one error class of this package.
 *
 * @example
 * ```ts
 * try { await credits.reserve({ userId, amount: '10' }) }
 * catch (error) {
 *   if (CreditError.isInstance(error) && error.code === 'INSUFFICIENT_CREDITS') showUpgrade(error.details.upgradeUrl)
 * }
 * ```
 */
export class CreditError extends Error {
  override readonly name = 'AI_CreditError'
  /** Stable code in UPPER_SNAKE. */
  readonly code: CreditErrorCode
  /** HTTP status that belongs to the code. */
  readonly status: number
  /** True when repeating the same call with the same idempotency key may succeed and can do no harm. */
  readonly retryable: boolean
  /** Machine-readable facts; for `INSUFFICIENT_CREDITS`: `available`, `required`, `balance`, `upgradeUrl`. */
  readonly details: CreditErrorDetails

  constructor({ code, message, details = {}, cause }: CreditErrorInput) {
    super(message ?? ERROR_CODES[code].title, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = ERROR_CODES[code].status
    this.retryable = ERROR_CODES[code].retryable
    this.details = details
    for (const marker of [MARKER, ...AI_SDK_MARKERS]) Object.defineProperty(this, marker, { value: true })
  }

  /** Works across duplicate copies of this package, unlike `instanceof`. */
  static isInstance(error: unknown): error is CreditError {
    return typeof error === 'object' && error !== null && MARKER in error
  }

  /** The public face of the error: no cause, no stack. */
  toJSON(): {
    code: CreditErrorCode
    status: number
    retryable: boolean
    message: string
    details: CreditErrorDetails
  } {
    const { code, status, retryable, message, details } = this
    return { code, status, retryable, message, details }
  }
}
