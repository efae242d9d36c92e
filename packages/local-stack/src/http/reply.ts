import type { IncomingMessage, ServerResponse } from 'node:http'

/** Lets browsers of any origin call, as Supabase does; the keys decide. */
export const CORS: Record<string, string> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE,OPTIONS,HEAD',
  'access-control-expose-headers': 'Content-Range,X-Total-Count,Link,X-Supabase-Api-Version',
  'access-control-max-age': '86400',
}

/** Answers a preflight request. */
export function replyPreflight(req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(204, { 'access-control-allow-headers': req.headers['access-control-request-headers'] ?? '*' }).end()
}

/** Sends JSON. */
export function replyJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  if (res.headersSent) return
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Sends a page that loads nothing and runs no script. */
export function replyHtml(res: ServerResponse, status: number, html: string): void {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; form-action *"
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy }).end(html)
}

/** Makes text safe inside HTML. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character)
}
