import { CreditError, type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'
import type { PublicContext } from './route.ts'
import type * as schemas from './schemas.ts'

/** `GET /credits/errors/{code}`: where the `type` of a problem body leads. */
export function getErrorCode({ target }: PublicContext<undefined, undefined>): schemas.ErrorCodeBody {
  const code = target.toUpperCase()
  if (!isCode(code)) throw new CreditError({ code: 'NOT_FOUND', message: 'There is no such error code' })
  const { status, retryable, title, description, details } = ERROR_CODES[code]
  const rows: [string, { description: string; internal?: true }][] = Object.entries(details)
  return {
    code,
    status,
    retryable,
    title,
    description,
    details: rows
      .filter(([, row]) => row.internal !== true)
      .map(([name, row]) => ({ name, description: row.description })),
  }
}

function isCode(code: string): code is CreditErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}
