/**
 * Every way a credits operation can fail, in one table. A row serves all layers: SQL raises the code as the message
 * of its SQLSTATE, PostgREST and the HTTP handlers answer with its status, `CreditError` types its details by it,
 * and docs/errors.md is generated from it (`node scripts/build-error-docs.ts`).
 */

/** One fault in an input: where it is, and what is wrong with it. */
export interface InputIssue {
  /** Path of the value, such as `marginPercent` or `messages.0.role`; empty for the input as a whole. */
  path: string
  message: string
}

/** The kinds of values that details consist of. */
export interface DetailKinds {
  /** Decimal string of credits. */
  credits: string
  text: string
  integer: number
  texts: readonly string[]
  limit: string | number
  issues: readonly InputIssue[]
  object: Readonly<Record<string, unknown>>
}

/** A member of the details of a code. */
interface DetailRow {
  kind: keyof DetailKinds
  description: string
  /** Stays on the server: not part of an HTTP answer. */
  internal?: true
}

/** One row of {@link ERROR_CODES}. */
interface ErrorRow {
  status: number
  /** The SQLSTATE with which SQL functions raise the code; null for a code that SQL never raises. */
  sqlState: `PT${number}` | null
  retryable: boolean
  title: string
  /** What happened and what to do about it; Markdown. */
  description: string
  details: Readonly<Record<string, DetailRow>>
}

const RESERVATION_ID = { kind: 'text', description: 'Id of the reservation' } as const
const ATTEMPTS = { kind: 'integer', description: 'How often the call was tried' } as const

/** The table: code -> SQLSTATE -> HTTP status -> retryable -> title -> details -> description. */
export const ERROR_CODES = {
  INSUFFICIENT_CREDITS: {
    status: 402,
    sqlState: 'PT402',
    retryable: false,
    title: 'Not enough credits',
    description:
      'Less is available than the call needs. Nothing was reserved, and the same idempotency key may succeed after a ' +
      'top-up. Show the user what is missing and where to get it.',
    details: {
      available: { kind: 'credits', description: 'Credits that can be spent now' },
      required: { kind: 'credits', description: 'Credits that the call needs' },
      balance: { kind: 'credits', description: 'Plan credits + add-on credits - debt' },
      upgradeUrl: { kind: 'text', description: 'Where the user can get more' },
      reservationId: RESERVATION_ID,
    },
  },
  UNAUTHENTICATED: {
    status: 401,
    sqlState: 'PT401',
    retryable: false,
    title: 'Sign in first',
    description: 'The request has no session, or one that was signed out, forged or has run out. Sign in again.',
    details: {},
  },
  FORBIDDEN: {
    status: 403,
    sqlState: 'PT403',
    retryable: false,
    title: 'Not allowed',
    description:
      'The session is good but may not do this. Either its user is not an admin, or a state-changing cookie request ' +
      'came from a page of another origin. Such a request sends `Origin` with the address of the app, or ' +
      '`Authorization: Bearer` and no cookie. Behind a proxy that changes the `Host` header, add the public origin ' +
      'to `allowedOrigins`; `X-Forwarded-Host` is not read, because clients can forge it.',
    details: {
      origin: { kind: 'text', description: 'The origin that was refused; absent when the request named none' },
      expected: { kind: 'text', description: 'The origin that would have been accepted' },
    },
  },
  ACCOUNT_FROZEN: {
    status: 403,
    sqlState: 'PT403',
    retryable: false,
    title: 'This account is frozen',
    description: 'An operator froze this account. Reading still works; spending does not.',
    details: {},
  },
  ACCOUNT_NOT_FOUND: {
    status: 404,
    sqlState: 'PT404',
    retryable: false,
    title: 'No such account',
    description: 'There is no such user, or the user was deleted.',
    details: { userId: { kind: 'text', description: 'The id that was looked up', internal: true } },
  },
  RESERVATION_NOT_FOUND: {
    status: 404,
    sqlState: 'PT404',
    retryable: false,
    title: 'No such reservation',
    description:
      'The user has no reservation with this id. The answer is the same whether it never existed or belongs to ' +
      'another user.',
    details: { reservationId: RESERVATION_ID },
  },
  TRANSACTION_NOT_FOUND: {
    status: 404,
    sqlState: 'PT404',
    retryable: false,
    title: 'No such transaction',
    description: 'The user has no transaction with this id that could be refunded or reversed.',
    details: { transactionId: { kind: 'text', description: 'Id of the transaction' } },
  },
  NOT_FOUND: {
    status: 404,
    sqlState: null,
    retryable: false,
    title: 'Not found',
    description: 'There is no such route, rate or margin.',
    details: {
      rateId: { kind: 'text', description: 'The rate that was looked up', internal: true },
      marginId: { kind: 'text', description: 'The margin that was looked up', internal: true },
    },
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    sqlState: null,
    retryable: false,
    title: 'Method not allowed',
    description: 'The route exists, the method does not. The `Allow` header lists the methods that do.',
    details: { allow: { kind: 'text', description: 'The methods of the route, separated by commas' } },
  },
  RESERVATION_CLOSED: {
    status: 409,
    sqlState: 'PT409',
    retryable: false,
    title: 'The reservation is already closed',
    description:
      'The reservation was settled or released or has expired, so it cannot be extended or captured. A reserve with ' +
      'the idempotency key of a closed reservation is refused too: its call has been made, so do not make it again. ' +
      'A second settle or release is no error, it returns the first result with `replayed: true`. A charge for a ' +
      'released reservation is refused: `details.amount` is what it would have taken.',
    details: {
      reservationId: RESERVATION_ID,
      state: { kind: 'text', description: '`settled`, `released` or `expired`' },
      amount: { kind: 'credits', description: 'Credits of a charge that was not recorded', internal: true },
    },
  },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    sqlState: 'PT409',
    retryable: false,
    title: 'The idempotency key was used with other parameters',
    description:
      'The key (or id) was used before with other parameters. Nothing happened. Use a new key for a new operation.',
    details: { id: { kind: 'text', description: 'The id that the key stands for' } },
  },
  VERSION_CONFLICT: {
    status: 409,
    sqlState: 'PT409',
    retryable: false,
    title: 'The value was changed in the meantime',
    description: 'The same margin was changed since it was read. Read it again and decide again.',
    details: {
      expected: { kind: 'integer', description: 'The version that the change was decided on' },
      actual: { kind: 'integer', description: 'The version in force' },
    },
  },
  REFUND_EXCEEDS_ORIGINAL: {
    status: 409,
    sqlState: 'PT409',
    retryable: false,
    title: 'A refund cannot exceed its original',
    description: 'All refunds or reversals of a transaction together may not exceed its amount.',
    details: { refundable: { kind: 'credits', description: 'What is left of the original' } },
  },
  INVALID_INPUT: {
    status: 422,
    sqlState: 'PT422',
    retryable: false,
    title: 'Invalid input',
    description:
      'A value is malformed. Nothing happened. Amounts are decimal strings with at most 6 places. The details have ' +
      'this shape in the library, in SQL and over HTTP.',
    details: { issues: { kind: 'issues', description: 'What is wrong: `[{ path, message }]`' } },
  },
  UNKNOWN_MODEL: {
    status: 422,
    sqlState: null,
    retryable: false,
    title: 'No price is known for this model',
    description:
      'No price is known for the model, so the call is refused: an unknown price is never free. Add a price with ' +
      '`credits rates set` or `credits rates sync`, or call a model that has one.',
    details: {
      model: { kind: 'text', description: 'Id of the model' },
      reason: { kind: 'text', description: 'Which price is missing, where there is more to say' },
    },
  },
  USAGE_MISSING: {
    status: 422,
    sqlState: null,
    retryable: false,
    title: 'The usage has no known count',
    description:
      'The usage that should be priced has not one count that the library knows, so it would be free. Pass the ' +
      '`usage` of the AI SDK result, or counts such as `inputTokens`.',
    details: { usage: { kind: 'object', description: 'What was passed, at most 4 kB of it', internal: true } },
  },
  LIMIT_EXCEEDED: {
    status: 429,
    sqlState: 'PT429',
    retryable: true,
    title: 'Too many open reservations',
    description:
      'The account has too many open reservations, or they reserve too much. They free themselves when their calls ' +
      'end or when they expire.',
    details: {
      limit: { kind: 'text', description: '`open_reservations` or `reserved_credits`' },
      maximum: { kind: 'limit', description: 'Its value: a count, or credits' },
    },
  },
  INTERNAL: {
    status: 500,
    sqlState: null,
    retryable: false,
    title: 'Something went wrong',
    description: 'An unforeseen fault. Its cause is in the log of the server, never in the answer.',
    details: {},
  },
  CONFIG_INVALID: {
    status: 500,
    sqlState: null,
    retryable: false,
    title: 'The server is not configured',
    description:
      'The server lacks a setting or has a wrong one, for example a publishable key where the secret key belongs. ' +
      'Values are never shown. `withCredits` throws it for what it cannot see the cost of: a batch, an agent that ' +
      'keeps its settings to itself, or a function that runs an agent (wrap the agent).',
    details: { missing: { kind: 'texts', description: 'Names of the settings' } },
  },
  SPENDING_FROZEN: {
    status: 503,
    sqlState: 'PT503',
    retryable: true,
    title: 'Spending is paused',
    description: 'An operator paused all spending. Reading still works.',
    details: {},
  },
  STORE_UNAVAILABLE: {
    status: 503,
    sqlState: null,
    retryable: true,
    title: 'The credits store cannot be reached',
    description:
      'The database could not be reached and the request was not carried out. The library fails closed: no model is ' +
      'called.',
    details: { attempts: ATTEMPTS, reservationId: RESERVATION_ID },
  },
  STORE_BUSY: {
    status: 503,
    sqlState: null,
    retryable: true,
    title: 'The credits store is busy; nothing happened',
    description:
      'The database refused for the moment: a lock timeout, a deadlock, a statement timeout or an exhausted pool ' +
      '(SQLSTATE 55P03, 40P01, 57014). Nothing happened; repeat with the same key.',
    details: { attempts: ATTEMPTS, reservationId: RESERVATION_ID },
  },
  OUTCOME_UNKNOWN: {
    status: 503,
    sqlState: null,
    retryable: true,
    title: 'The outcome is unknown; repeat with the same key',
    description:
      'The answer of a write was lost and the bounded retries did not get one. The write may or may not have ' +
      'happened: repeat with the same key, which takes effect at most once.',
    details: { attempts: ATTEMPTS, reservationId: RESERVATION_ID },
  },
  PROVIDER_UNAVAILABLE: {
    status: 503,
    sqlState: null,
    retryable: true,
    title: 'The model provider refused the call',
    description:
      "The model provider refused the operator, for example because the operator's own gateway credits ran out. The " +
      "user's reservation was released; it is not the user's 402.",
    details: {},
  },
} as const satisfies Readonly<Record<string, ErrorRow>>
