import 'server-only'
import { CreditError } from '@layers/credits'
import type { ErrorContext } from '@layers/credits/http'

/** One JSON line on stderr for what an operator should look at; a refusal such as a 402 is not among it. */
export function logError(error: unknown, context?: ErrorContext): void {
  if (CreditError.isInstance(error) && error.status < 500) return
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  const code = CreditError.isInstance(error) ? error.code : undefined
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined
  const time = new Date().toISOString()
  process.stderr.write(`${JSON.stringify({ level: 'error', time, code, name, message, ...context, cause, stack })}\n`)
}
