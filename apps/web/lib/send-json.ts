import { CreditError, creditErrorFrom } from '@layers/credits/react'

/**
 * Sends a change to this app's API. Every failure is a `CreditError` whose message can be shown.
 *
 * @throws CreditError the problem that the server answered with, or `STORE_UNAVAILABLE` when it did not answer.
 */
export async function sendJson<Body>(method: 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown): Promise<Body> {
  let response: Response
  try {
    response = await fetch(url, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
  } catch (cause) {
    throw new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The server cannot be reached. Try again.', cause })
  }
  const text = await response.text()
  if (response.ok) return JSON.parse(text) as Body
  throw creditErrorFrom(text) ?? new CreditError({ code: 'INTERNAL', message: 'Something went wrong. Try again.' })
}
