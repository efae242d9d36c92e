import { expect, test } from 'vitest'
import { makeApi, problemOf } from '../kit/http-api.ts'

const put = (api: ReturnType<typeof makeApi>, raw: string) =>
  api.send('/admin/credits/margins', { as: 'admin', method: 'PUT', raw })

const REFUSED: [string, string][] = [
  ['no body', ''],
  ['text that is not JSON', '{'],
  ['a mere string', '"60"'],
  ['a mere null', 'null'],
  ['an array around it', '[{"marginPercent":"1"}]'],
  ['no member', '{}'],
  ['an extra key', '{"marginPercent":"1","id":"x"}'],
  ['another author', '{"marginPercent":"1","actorId":"00000000-0000-4000-8000-000000000000"}'],
  ['another scope', '{"marginPercent":"1","scope":"plan","target":"free"}'],
  ['a version of its own', '{"marginPercent":"1","version":9}'],
  ['an array as the margin', '{"marginPercent":["1"]}'],
  ['an object as the margin', '{"marginPercent":{"toString":"1"}}'],
  ['true as the margin', '{"marginPercent":true}'],
  ['null as the margin', '{"marginPercent":null}'],
  ['a prototype', '{"marginPercent":"1","__proto__":{"isAdmin":true}}'],
  ['a constructor', '{"marginPercent":"1","constructor":{"prototype":{"isAdmin":true}}}'],
  ['NaN', '{"marginPercent":"NaN"}'],
  ['infinity by exponent', '{"marginPercent":1e309}'],
  ['an exponent', '{"marginPercent":"1e3"}'],
  ['hexadecimal', '{"marginPercent":"0x10"}'],
  ['full-width digits', '{"marginPercent":"１"}'],
  ['a space', '{"marginPercent":"60 "}'],
  ['an empty string', '{"marginPercent":""}'],
  ['-100 %', '{"marginPercent":"-100"}'],
  ['-101 %', '{"marginPercent":-101}'],
  ['more than 10000 %', '{"marginPercent":"10000.0001"}'],
  ['too many places', '{"marginPercent":"60.00001"}'],
  ['SQL', `{"marginPercent":"60'; drop table margin_config; --"}`],
  ['a version that is no integer', '{"marginPercent":"1","expectedVersion":"1"}'],
  ['a negative version', '{"marginPercent":"1","expectedVersion":-1}'],
  ['a word as the date', '{"marginPercent":"1","effectiveFrom":"soon"}'],
  ['a date in the past', '{"marginPercent":"1","effectiveFrom":"2001-01-01T00:00:00Z"}'],
  ['a reason of 501 characters', `{"marginPercent":"1","reason":"${'a'.repeat(501)}"}`],
  ['a NUL in the reason', '{"marginPercent":"1","reason":"a\\u0000b"}'],
  ['half a surrogate pair in the reason', '{"marginPercent":"1","reason":"\\ud800"}'],
  ['17 kB', `{"marginPercent":"1","reason":"${'a'.repeat(17_000)}"}`],
  ['10,000 levels', '['.repeat(8000) + ']'.repeat(8000)],
]

test.each(REFUSED)('a margin body with %s is refused with 422 and changes nothing', async (_, raw) => {
  const api = makeApi()
  const response = await put(api, raw)
  const { code, body } = await problemOf(response)
  expect(response.status).toBe(422)
  expect(code).toBe('INVALID_INPUT')
  expect(JSON.stringify(body)).not.toMatch(/at .*\.ts|stack|node_modules/)
  expect((await api.credits.getMargins()).default).toMatchObject({ marginPercent: '60', version: 1 })
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
})

test.each([
  ['a string', '"45.5"', '45.5'],
  ['a JSON number', '45.5', '45.5'],
  ['an integer', '0', '0'],
  ['a negative margin', '"-99.9999"', '-99.9999'],
  ['the largest margin', '10000', '10000'],
])('a margin is accepted as %s and stored exactly', async (_, json, expected) => {
  const api = makeApi()
  const response = await put(api, `{"marginPercent":${json}}`)
  expect(await response.json()).toMatchObject({ marginPercent: expected })
})

test('a body that never ends is read up to the limit and refused', async () => {
  const api = makeApi()
  let sent = 0
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1024
      controller.enqueue(new Uint8Array(1024).fill(0x20))
    },
  })
  const response = await api.handlers.PUT(
    new Request('https://app.example/api/admin/credits/margins', {
      method: 'PUT',
      body: endless,
      headers: { authorization: 'Bearer admin', 'content-type': 'application/json' },
      duplex: 'half',
    } as RequestInit),
  )
  expect(response.status).toBe(422)
  expect(sent).toBeLessThan(32 * 1024)
})

test('a body whose bytes are not UTF-8 is refused', async () => {
  const api = makeApi()
  const response = await api.handlers.PUT(
    new Request('https://app.example/api/admin/credits/margins', {
      method: 'PUT',
      body: Uint8Array.from([...new TextEncoder().encode('{"marginPercent":"1","reason":"'), 0xff, 0xfe, 0x22, 0x7d]),
      headers: { authorization: 'Bearer admin', 'content-type': 'application/json' },
    }),
  )
  expect(response.status).toBe(422)
})
