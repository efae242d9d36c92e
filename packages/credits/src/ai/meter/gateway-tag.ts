import type { AnyModel } from '../types.ts'

/** `provider` of the models that the AI Gateway serves. */
const GATEWAY = 'gateway'
const PREFIX = 'credits:'

/** The tag by which the gateway's spend report finds the calls of a reservation. */
export function reservationTag(reservationId: string): string {
  return `${PREFIX}${reservationId}`
}

/**
 * The provider options with the tag of the reservation, for a model of the gateway; other providers get what the app
 * set. When the process dies before it can charge a call, `credits reconcile --gateway` finds its cost by this tag.
 */
export function taggedOptions(model: AnyModel, providerOptions: unknown, reservationId: string): unknown {
  if (model.provider !== GATEWAY) return providerOptions
  const { gateway, ...others } = (providerOptions ?? {}) as { gateway?: { tags?: unknown } }
  const tags = Array.isArray(gateway?.tags) ? gateway.tags : []
  // The meter of another user is outside: this one pays, and a call must not count for two reservations.
  const own = tags.filter((tag) => typeof tag !== 'string' || !tag.startsWith(PREFIX))
  return { ...others, gateway: { ...gateway, tags: [...own, reservationTag(reservationId)] } }
}
