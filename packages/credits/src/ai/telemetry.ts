import type { Telemetry } from 'ai'
import type { Operation } from './operation.ts'

type Integration = Record<string, unknown>

/** What telemetry is told of a wrapped call. */
export interface CreditsTelemetry {
  userId: string
  reservationId: string | undefined
  /** Credits charged so far, a decimal string. */
  charged: string
}

/**
 * Makes credits visible to the SDK's telemetry: every event has them as `metadata` and, for integrations that turn the
 * runtime context into attributes, there too. Only copies of events are touched, so the app's own callbacks and results
 * stay as they are; without an integration nothing is done at all.
 */
export function observe(options: Record<string, unknown>, operation: Operation): void {
  const telemetry = (options.telemetry ?? options.experimental_telemetry) as
    | { isEnabled?: boolean; integrations?: unknown }
    | undefined
  if (telemetry?.isEnabled === false) return
  const own = telemetry?.integrations
  const integrations = own === undefined ? globalThis.AI_SDK_TELEMETRY_INTEGRATIONS : ([own].flat() as Telemetry[])
  if (integrations === undefined || integrations.length === 0) return
  const observers = integrations.map((integration) => told(integration as Telemetry, operation))
  options.telemetry = { ...telemetry, integrations: observers }
}

function told(integration: Telemetry, operation: Operation): Telemetry {
  const target = integration as Integration
  return new Proxy(target, {
    get(_, key) {
      const member = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      const named = typeof key === 'string' && /^(?:experimental_)?on[A-Z]/.test(key)
      if (!named) return member.bind(target)
      return (event: unknown) => member.call(target, withMetadata(event, operation))
    },
  }) as Telemetry
}

function withMetadata(event: unknown, operation: Operation): unknown {
  if (typeof event !== 'object' || event === null) return event
  const { userId, reservationId, charged } = operation.receipt
  const credits: CreditsTelemetry = { userId, reservationId, charged }
  const { metadata, runtimeContext } = event as { metadata?: object; runtimeContext?: object }
  return Object.assign(Object.create(Object.getPrototypeOf(event)), event, {
    metadata: { ...metadata, ...credits },
    runtimeContext: { ...runtimeContext, credits },
  })
}
