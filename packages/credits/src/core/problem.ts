import { type CreditError, type CreditErrorCode, ERROR_CODES } from './errors.ts'

/** Where each code is explained; the anchor is the code in lower case. The page is part of the package. */
const ERROR_DOCS_URL = 'https://unpkg.com/@layers/credits/docs/errors.md'

/** The members that RFC 9457 defines, with our `code`. */
export interface ProblemFace {
  type: string
  title: string
  status: number
  detail: string
  code: CreditErrorCode
}

/**
 * What a client may learn of an error: its code, and the details that are named. A store's own words may quote a query
 * or a host, so a fault of the server says no more than its code; a setting that is missing names only the variable.
 */
export function problemFace(
  { code, status, message, details }: CreditError,
  publicDetails: readonly string[],
): ProblemFace & Record<string, unknown> {
  const { title } = ERROR_CODES[code]
  const facts = publicDetails.filter((name) => details[name] !== undefined && details[name] !== null)
  return {
    type: `${ERROR_DOCS_URL}#${code.toLowerCase()}`,
    title,
    status,
    detail: status >= 500 && code !== 'CONFIG_INVALID' ? title : message,
    code,
    ...Object.fromEntries(facts.map((name) => [name, details[name]])),
  }
}
