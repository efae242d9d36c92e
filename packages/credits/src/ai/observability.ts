import type { Telemetry } from 'ai'
import type { CallSession } from './call-session.ts'
import type { FunctionOptions } from './sdk-functions.ts'

interface Span {
  setAttribute(name: string, value: string | number | boolean): unknown
}
interface OpenTelemetryApi {
  context?: { active?: () => { getValue?: (key: symbol) => Span | undefined } }
}

// How @opentelemetry/api finds itself across copies, and how it names the span in a context. Read from there, so that
// it need not be imported, installed or bundled.
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
 * Puts `credits.user_id` and `credits.reservation_id` on the OpenTelemetry span that is active now, and
 * `credits.charged` and `credits.estimated` when the call is over. Does nothing without OpenTelemetry.
 */
export function observeCall(session: CallSession): void {
  const span = activeSpan()
  if (span === undefined) return
  const write = () => {
    const { userId, reservationId, charged, estimated, closed } = session.receipt
    span.setAttribute('credits.user_id', userId)
    if (reservationId !== undefined) span.setAttribute('credits.reservation_id', reservationId)
    if (!closed) return
    span.setAttribute('credits.charged', charged)
    span.setAttribute('credits.estimated', estimated)
  }
  write()
  session.totals.onOver(write)
}

/** The `metadata` that telemetry events of a wrapped call carry. */
export interface CreditsTelemetry {
  userId: string
  reservationId: string | undefined
  /** Credits charged so far, a decimal string. */
  charged: string
}

interface TelemetryOptions {
  isEnabled?: boolean
  integrations?: unknown
  includeRuntimeContext?: Readonly<Record<string, boolean>>
}

/**
 * Makes credits visible to the SDK's telemetry: every event carries them as `metadata` and, where the app includes
 * `credits` of the runtime context, there too. Copies of events are changed, so the app's own callbacks and results
 * stay as they are. Without an integration the options stay as they are.
 */
export function withTelemetry(options: FunctionOptions, session: CallSession): FunctionOptions {
  const telemetry = (options.telemetry ?? options.experimental_telemetry) as TelemetryOptions | undefined
  if (telemetry?.isEnabled === false) return options
  const own = telemetry?.integrations
  const integrations = own === undefined ? globalThis.AI_SDK_TELEMETRY_INTEGRATIONS : ([own].flat() as Telemetry[])
  if (integrations === undefined || integrations.length === 0) return options
  const included = telemetry?.includeRuntimeContext?.credits === true
  const observers = integrations.map((integration) => withCreditsEvents(integration as Telemetry, session, included))
  return { ...options, telemetry: { ...telemetry, integrations: observers } }
}

function withCreditsEvents(integration: Telemetry, session: CallSession, inRuntimeContext: boolean): Telemetry {
  return new Proxy(integration, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      const listens = typeof key === 'string' && /^(?:experimental_)?on[A-Z]/.test(key)
      if (!listens) return (member as (...args: unknown[]) => unknown).bind(target)
      return (event: unknown) => Reflect.apply(member, target, [withCreditsMetadata(event, session, inRuntimeContext)])
    },
  })
}

function withCreditsMetadata(event: unknown, session: CallSession, inRuntimeContext: boolean): unknown {
  if (typeof event !== 'object' || event === null) return event
  const { userId, reservationId, charged } = session.receipt
  const credits: CreditsTelemetry = { userId, reservationId, charged }
  const { metadata, runtimeContext } = event as { metadata?: object; runtimeContext?: object }
  return Object.assign(Object.create(Object.getPrototypeOf(event)), event, {
    metadata: { ...metadata, ...credits },
    // The app's own value of that name comes first.
    ...(inRuntimeContext && { runtimeContext: { credits, ...runtimeContext } }),
  })
}
