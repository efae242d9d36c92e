import { CreditError } from '../core/errors.ts'
import type { Soon } from '../core/soon.ts'
import { isRetryable } from './errors.ts'
import type { Operation } from './operation.ts'

/** How one wrapped function call goes about its provider calls. */
export interface RunPlan {
  /** The call that reserved; one that is nested in another only takes part. */
  owns: boolean
  /** Its result arrives later, so its end has to be recognised. */
  streams: boolean
  /** No tools: it is over when its provider call is. */
  single: boolean
  /** A stream that failed or was cancelled may be tried again. */
  retriesStreams: boolean
  /** Retries of a failed provider call, as given to the SDK. */
  maxRetries: number
}

/** Ends of a stream that is no answer. */
const BROKEN: ReadonlySet<string> = new Set(['error', 'cancelled', 'ended', 'broken'])

/** One call of a wrapped function: the operation that pays for it, and what ends it. */
export class Run {
  readonly operation: Operation
  plan: RunPlan
  /** Provider calls that were answered. */
  answers = 0
  #failures = 0

  constructor(operation: Operation, plan: RunPlan) {
    this.operation = operation
    this.plan = plan
  }

  /**
   * A provider call was answered, in the end of a stream or in a whole result.
   * @param how its finish reason, or how its stream ended without one
   */
  answered(how: string): Soon<void> {
    this.answers++
    this.#failures = 0
    if (this.endsWith(how)) return this.operation.end()
    const { owns, streams } = this.plan
    if (owns && streams && !BROKEN.has(how) && how !== 'tool-calls') return this.operation.pause()
  }

  /** Whether a stream's call is over with this answer. */
  endsWith(how: string): boolean {
    const { owns, streams, single, retriesStreams } = this.plan
    if (!owns || !streams) return false
    return BROKEN.has(how) ? !retriesStreams && (single || how === 'cancelled') : single
  }

  /** A provider call was refused; the SDK may call again. */
  rejected(error: unknown): Soon<void> {
    const { owns, streams, single, maxRetries } = this.plan
    if (!owns || !streams || !single) return
    if (!isRetryable(error) || ++this.#failures > maxRetries) return this.operation.end()
  }

  /** Whether the answer so far may stand, because it is the next step that cannot be paid. */
  endsGracefully(error: unknown): boolean {
    if (this.answers === 0 || !CreditError.isInstance(error) || error.code !== 'INSUFFICIENT_CREDITS') return false
    this.operation.ranOut(error)
    return true
  }
}
