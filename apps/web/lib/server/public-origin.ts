/** The origin the browser used: behind a proxy the request's own URL shows an inner address. */
export function publicOrigin(request: Request): string {
  const url = new URL(request.url)
  const protocol = request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim() ?? url.protocol.replace(':', '')
  return `${protocol}://${request.headers.get('host') ?? url.host}`
}
