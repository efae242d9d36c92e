import { type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'
import type * as schemas from './schemas.ts'

/** `GET /credits/errors`: where the `type` of a problem body leads. */
export function getErrorCodes(): schemas.ErrorCodesBody {
  return { data: (Object.keys(ERROR_CODES) as CreditErrorCode[]).map(describe) }
}

function describe(code: CreditErrorCode): schemas.ErrorCodesBody['data'][number] {
  const { status, retryable, title, description, details } = ERROR_CODES[code]
  const rows: [string, { description: string; internal?: true }][] = Object.entries(details)
  const shown = rows.filter(([, row]) => row.internal !== true)
  return {
    code,
    status,
    retryable,
    title,
    description,
    details: shown.map(([name, row]) => ({ name, description: row.description })),
  }
}
