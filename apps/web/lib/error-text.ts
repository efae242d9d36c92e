import { CreditError, type CreditErrorCode } from '@layers/credits/react'

/** What to say to a person where the message of the error is written for developers. */
const TEXTS: Partial<Record<CreditErrorCode, string>> = {
  ACCOUNT_FROZEN: 'This account is frozen. Write to the operator of this app.',
  SPENDING_FROZEN: 'The operator has paused all spending for the moment. Nothing was charged.',
  LIMIT_EXCEEDED: 'Too much is running at once. Wait until an answer is complete.',
  UNKNOWN_MODEL: 'This model has no price here. Choose another one.',
  STORE_UNAVAILABLE: 'The service does not answer at the moment. Try again in a minute.',
  STORE_BUSY: 'The service is busy at the moment. Try again in a minute.',
  OUTCOME_UNKNOWN: 'The service does not answer at the moment. Try again in a minute.',
  PROVIDER_UNAVAILABLE: 'The model does not answer at the moment. Try again, or choose another model.',
  INTERNAL: 'Something went wrong on our side. Try again.',
}

/** The text of a failure for the person at the screen. */
export function textOf(error: unknown): string {
  if (!CreditError.isInstance(error)) return 'This did not work. Try again.'
  // The path of a field means nothing to the person who filled it in.
  if (error.code === 'INVALID_INPUT') return error.details.issues?.[0]?.message ?? error.message
  return TEXTS[error.code] ?? error.message
}

/** Would trying the same again make sense? */
export function canRetry(error: unknown): boolean {
  return !CreditError.isInstance(error) || error.code !== 'ACCOUNT_FROZEN'
}
