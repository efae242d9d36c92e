import { afterEach, expect, test, vi } from 'vitest'
import { CreditError } from '../core/errors.ts'
import { problemResponse } from '../core/problem.ts'
import { fetchJson } from './fetch-json.ts'

afterEach(() => vi.unstubAllGlobals())

/** Answers every request of the test and remembers it. */
function answerWith(answer: () => Response): Request[] {
  const requests: Request[] = []
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    requests.push(new Request(`https://app.example${url}`, init))
    return answer()
  })
  return requests
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error,
  )

test('fetchJson reads JSON by GET without a body', async () => {
  const requests = answerWith(() => Response.json({ available: '5' }))
  expect(await fetchJson('/api/credits/balance')).toEqual({ available: '5' })
  expect([requests[0]?.method, requests[0]?.headers.get('content-type')]).toEqual(['GET', null])
})

test('fetchJson sends a body as JSON by the given method', async () => {
  const requests = answerWith(() => Response.json({}))
  await fetchJson('/api/x', { method: 'PUT', body: { marginPercent: '60' } })
  expect(requests[0]?.method).toBe('PUT')
  expect(requests[0]?.headers.get('content-type')).toBe('application/json')
  expect(await requests[0]?.json()).toEqual({ marginPercent: '60' })
})

test('a problem body is thrown as the CreditError that the server meant', async () => {
  answerWith(() => problemResponse(new CreditError({ code: 'VERSION_CONFLICT', details: { expected: 1, actual: 2 } })))
  expect(await failureOf(fetchJson('/api/x'))).toMatchObject({
    code: 'VERSION_CONFLICT',
    status: 409,
    details: { expected: 1, actual: 2 },
  })
})

test('a server that does not answer is STORE_UNAVAILABLE', async () => {
  answerWith(() => {
    throw new TypeError('fetch failed')
  })
  expect(await failureOf(fetchJson('/api/x'))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test.each([
  ['the error page of a proxy', 502, '<html>'],
  ['a page instead of JSON', 200, '<html>'],
])('%s is INTERNAL', async (_, status, text) => {
  answerWith(() => new Response(text, { status }))
  const error = await failureOf(fetchJson('/api/x'))
  expect(CreditError.isInstance(error) && error.code).toBe('INTERNAL')
})
