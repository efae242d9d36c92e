import type { Operation } from './operation.ts'

interface Span {
  setAttribute(name: string, value: string | number | boolean): unknown
}
interface OpenTelemetryApi {
  context?: { active?: () => { getValue?: (key: symbol) => Span | undefined } }
}

// How @opentelemetry/api finds itself across copies, and how it names the span in a context. Read from there, so that
// nothing has to be imported, installed or bundled.
const API = Symbol.for('opentelemetry.js.api.1')
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN')

function activeSpan(): Span | undefined {
  const api = (globalThis as unknown as Record<symbol, OpenTelemetryApi | undefined>)[API]
  try {
    return api?.context?.active?.().getValue?.(SPAN)
  } catch {
    return undefined
  }
}

/**
 * Puts `credits.user_id`, `credits.reservation_id`, `credits.charged` and `credits.estimated` on the OpenTelemetry
 * span that is active now; the figures follow when the books are closed. Does nothing without OpenTelemetry.
 */
export function traced(operation: Operation): void {
  const span = activeSpan()
  if (span === undefined) return
  const write = () => {
    const { userId, reservationId, charged, estimated, closed } = operation.receipt
    span.setAttribute('credits.user_id', userId)
    if (reservationId !== undefined) span.setAttribute('credits.reservation_id', reservationId)
    if (!closed) return
    span.setAttribute('credits.charged', charged)
    span.setAttribute('credits.estimated', estimated)
  }
  write()
  operation.onOver(write)
}
