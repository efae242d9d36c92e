/** A JSON answer for one user, which no cache may keep. */
export function privateJson(body: unknown): Response {
  return Response.json(body, { headers: { 'cache-control': 'no-store' } })
}
