import { CreditError } from '../core/errors.ts'
import { parseProblem } from '../core/problem.ts'

/** What {@link fetchJson} sends. */
export interface FetchJsonOptions {
  /** Default `GET`. */
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | undefined
  /** Sent as JSON; absent for no body. */
  body?: unknown
}

/**
 * Reads or changes something through the app's API. It is also a fetcher for SWR.
 *
 * @throws CreditError the problem that the server answered with; `STORE_UNAVAILABLE` when it did not answer; `INTERNAL`
 * for an answer that is not of this API. The message can be shown.
 * @example await fetchJson('/api/admin/credits/margins', { method: 'PUT', body: { marginPercent: '60' } })
 */
export async function fetchJson<Body>(url: string, options: FetchJsonOptions = {}): Promise<Body> {
  const { method = 'GET', body } = options
  const headers: Record<string, string> = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
  } catch (cause) {
    throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The server cannot be reached. Try again.', cause })
  }
  const text = await response.text()
  if (response.ok) {
    try {
      return JSON.parse(text) as Body
    } catch (cause) {
      throw unexpected(response, cause)
    }
  }
  throw parseProblem(text) ?? unexpected(response)
}

function unexpected({ status }: Response, cause?: unknown): CreditError {
  return new CreditError({ code: 'INTERNAL', message: 'Something went wrong. Try again.', details: { status }, cause })
}
