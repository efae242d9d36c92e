import { type DetailKinds, ERROR_CODES, type InputIssue } from './error-codes.ts'

export { ERROR_CODES }

/** One of the stable, documented codes. Branch on it; never on a message. */
export type CreditErrorCode = keyof typeof ERROR_CODES

type DetailRows<Code extends CreditErrorCode> = (typeof ERROR_CODES)[Code]['details']

type KnownDetails<Rows> = {
  readonly [Name in keyof Rows]?: Rows[Name] extends { kind: infer Kind extends keyof DetailKinds }
    ? DetailKinds[Kind] | undefined
    : never
}

/**
 * Machine-readable facts about a failure, typed by its code; amounts are decimal strings of credits. A member that the
 * table does not name is `unknown`.
 */
export type CreditErrorDetails<Code extends CreditErrorCode = CreditErrorCode> = Code extends CreditErrorCode
  ? KnownDetails<DetailRows<Code>> & Readonly<Record<string, unknown>>
  : never

/** What a {@link CreditError} is made from. */
export interface CreditErrorInput<Code extends CreditErrorCode = CreditErrorCode> {
  code: Code
  /** A sentence for a developer; by default made from the code and its details. Without secrets or data of others. */
  message?: string | undefined
  details?: CreditErrorDetails<Code> | undefined
  cause?: unknown
}

/** Where an error that is given to `onError` came from. */
export interface ErrorContext {
  /** What was being done, such as `settle` or `GET /api/credits/balance`. */
  operation: string
  userId?: string | undefined
  reservationId?: string | undefined
}

/** A {@link CreditError} of one code. */
export interface CreditErrorOf<Code extends CreditErrorCode> extends Error {
  readonly name: 'AI_CreditError'
  /** Stable code in UPPER_SNAKE. */
  readonly code: Code
  /** HTTP status that belongs to the code. */
  readonly status: number
  /** True when repeating the same call with the same idempotency key may succeed and can do no harm. */
  readonly retryable: boolean
  /** Machine-readable facts, typed by `code`. */
  readonly details: CreditErrorDetails<Code>
  /** The public face of the error: no cause, no stack. */
  toJSON(): {
    code: Code
    status: number
    retryable: boolean
    message: string
    details: CreditErrorDetails<Code>
  }
}

/**
 * The one error type of this package, a union over all codes: comparing `code` types `details`.
 *
 * @example
 * ```ts
 * try {
 *   await credits.reserve({ userId, amount: '10' })
 * } catch (error) {
 *   if (CreditError.isInstance(error) && error.code === 'INSUFFICIENT_CREDITS') showUpgrade(error.details.upgradeUrl)
 * }
 * ```
 */
export type CreditError<Code extends CreditErrorCode = CreditErrorCode> = Code extends CreditErrorCode
  ? CreditErrorOf<Code>
  : never

/** The constructor of {@link CreditError}. */
export interface CreditErrorConstructor {
  new <Code extends CreditErrorCode>(input: CreditErrorInput<Code>): CreditError<Code>
  readonly prototype: CreditError
  /** Works across duplicate copies of this package, unlike `instanceof`. */
  isInstance(error: unknown): error is CreditError
}

const MARKER = Symbol.for('layers.credits.error')
// The AI SDK recognises its errors by these two symbols. Carrying them makes `AISDKError.isInstance` answer true
// without importing the SDK.
const AI_SDK_MARKERS = [Symbol.for('vercel.ai.error'), Symbol.for('vercel.ai.error.AI_CreditError')] as const

class CreditErrorClass extends Error {
  override readonly name = 'AI_CreditError'
  readonly code: CreditErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor({ code, message, details = {}, cause }: CreditErrorInput) {
    super(message ?? defaultMessage(code, details), cause === undefined ? undefined : { cause })
    this.code = code
    this.status = ERROR_CODES[code].status
    this.retryable = ERROR_CODES[code].retryable
    this.details = code === 'INVALID_INPUT' ? withIssues(details, this.message) : details
    for (const marker of [MARKER, ...AI_SDK_MARKERS]) Object.defineProperty(this, marker, { value: true })
  }

  static isInstance(error: unknown): boolean {
    return typeof error === 'object' && error !== null && MARKER in error
  }

  toJSON() {
    const { code, status, retryable, message, details } = this
    return { code, status, retryable, message, details }
  }
}

/** See {@link CreditErrorConstructor}. */
export const CreditError = CreditErrorClass as unknown as CreditErrorConstructor

/** A refusal of input always says what is wrong in the same shape. */
function withIssues(details: Readonly<Record<string, unknown>>, message: string): Readonly<Record<string, unknown>> {
  return Array.isArray(details.issues) ? details : { ...details, issues: [{ path: '', message }] }
}

/** The title, or more where the details allow to name the thing at fault and the way out. */
function defaultMessage(code: CreditErrorCode, details: Readonly<Record<string, unknown>>): string {
  const { title } = ERROR_CODES[code]
  const { model, reason, expected, actual, available, required, issues } = details
  if (code === 'UNKNOWN_MODEL' && typeof model === 'string') {
    const which = typeof reason === 'string' && reason !== 'no price is known' ? ` (${reason})` : ''
    return `No price is known for ${model}${which}. Add one with \`credits rates set\`, or call a model that has one`
  }
  if (code === 'VERSION_CONFLICT' && typeof actual === 'number') {
    return `${title}: version ${actual} is in force, version ${String(expected)} was expected`
  }
  if (code === 'INSUFFICIENT_CREDITS' && typeof available === 'string' && typeof required === 'string') {
    return `${title}: ${required} needed, ${available} available`
  }
  if (code === 'INVALID_INPUT' && Array.isArray(issues)) return issueText(issues[0]) ?? title
  return title
}

function issueText(issue: InputIssue | undefined): string | undefined {
  return issue && [issue.path, issue.message].filter(Boolean).join(': ')
}

/**
 * An `INVALID_INPUT` error about one value.
 *
 * @param path where the value is, such as `marginPercent`; empty for the input as a whole
 * @example throw invalidInput('amount', 'must be above zero')
 */
export function invalidInput(path: string, message: string): CreditError<'INVALID_INPUT'> {
  return invalidIssues([{ path, message }])
}

/** How many faults of one input are named; more would not help. */
const MAX_ISSUES = 20

/**
 * An `INVALID_INPUT` error about several values, such as the `issues` of a zod error.
 *
 * @example if (!result.success) throw invalidIssues(result.error.issues, result.error)
 */
export function invalidIssues(
  issues: readonly { readonly path: string | readonly PropertyKey[]; readonly message: string }[],
  cause?: unknown,
): CreditError<'INVALID_INPUT'> {
  const named = issues.slice(0, MAX_ISSUES).map(({ path, message }) => ({
    path: typeof path === 'string' ? path : path.map(String).join('.'),
    message,
  }))
  const [first] = named
  const message = first?.path === '' ? `input: ${first.message}` : issueText(first)
  return new CreditError({ code: 'INVALID_INPUT', message, details: { issues: named }, cause })
}
