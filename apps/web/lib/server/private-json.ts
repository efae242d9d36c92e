/** A JSON answer for one reader, which no cache may keep. */
export function privateJson(body: unknown, status = 200): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store' } })
}
