import { CreditError, type CreditErrorCode, ERROR_CODES } from '../core/errors.ts'
import type { Problem } from '../http/index.ts'

/**
 * The `CreditError` behind a failed request, or null when the failure is not one of ours. Takes a problem
 * body, its text, or an error whose message is that text, which is what `useChat` hands to `onError`.
 *
 * @example
 * ```ts
 * const problem = creditErrorFrom(chat.error)
 * if (problem?.code === 'INSUFFICIENT_CREDITS') showUpgrade(problem.details.upgradeUrl)
 * ```
 */
export function creditErrorFrom(source: unknown): CreditError | null {
  if (CreditError.isInstance(source)) return source
  if (source instanceof Error) return creditErrorFrom(source.message)
  if (typeof source === 'string') return creditErrorFrom(parseJson(source))
  if (!isProblem(source)) return null
  const { type: _type, title: _title, status: _status, detail, code, ...details } = source
  return new CreditError({ code, message: detail, details })
}

/** Fetches JSON; every failure is a `CreditError`, a network that is down included. */
export async function fetchJson<Body>(url: string): Promise<Body> {
  let response: Response
  try {
    response = await fetch(url, { headers: { accept: 'application/json' } })
  } catch (cause) {
    throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The server cannot be reached', cause })
  }
  const body: unknown = parseJson(await response.text())
  if (response.ok && body !== null) return body as Body
  throw creditErrorFrom(body) ?? new CreditError({ code: 'INTERNAL', details: { status: response.status } })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isProblem(value: unknown): value is Problem & { code: CreditErrorCode } {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('detail' in value)) return false
  return typeof value.code === 'string' && Object.hasOwn(ERROR_CODES, value.code) && typeof value.detail === 'string'
}
