import type { Credits } from '../credits/types.ts'
import type { CreditsContext } from './context.ts'

const MOST_USERS = 10_000
// They decide how much a call asks for, nothing else, so it does no harm when they are old.
const creditsByUser = new WeakMap<Credits, Map<string, string>>()

/** Credits that the user had when the store last answered a call of this process. Undefined: it has not yet. */
export function lastKnownCredits({ credits, userId }: CreditsContext): string | undefined {
  return creditsByUser.get(credits)?.get(userId)
}

/** Remembers what the store answered. */
export function rememberCredits({ credits, userId }: CreditsContext, available: string): void {
  const users = creditsByUser.get(credits) ?? new Map<string, string>()
  creditsByUser.set(credits, users)
  // Inserted again, so that the user who was seen least recently is the first to go.
  users.delete(userId)
  users.set(userId, available)
  const [oldest] = users.keys()
  if (users.size > MOST_USERS && oldest !== undefined) users.delete(oldest)
}
