import type { App } from './app.ts'

export const PASSWORD = 'correct-horse-1'
/** A page may take its time on a busy machine. */
export const PATIENT = { timeout: 15_000 }
let counter = 0

/** A browser's part: keeps cookies, sends its origin, follows nothing. */
export class Browser {
  readonly cookies = new Map<string, string>()
  readonly app: Pick<App, 'url'>

  constructor(app: Pick<App, 'url'>) {
    this.app = app
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({ origin: this.app.url })
    if (this.cookies.size > 0) headers.set('cookie', this.cookieHeader())
    if (init.body) headers.set('content-type', 'application/json')
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value)
    const response = await fetch(`${this.app.url}${path}`, { redirect: 'manual', ...init, headers })
    for (const line of response.headers.getSetCookie()) this.keep(line)
    return response
  }

  send(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.fetch(path, { method, body: JSON.stringify(body), headers })
  }

  cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** The session as @supabase/ssr keeps it: base64url of JSON, in chunks when it is long. */
  session(): { access_token: string; refresh_token: string } & Record<string, unknown> {
    const value = sessionCookies(this.cookies)
      .map(([, part]) => part)
      .join('')
    return JSON.parse(Buffer.from(value.replace('base64-', ''), 'base64url').toString())
  }

  /** Puts a session into the cookie jar, as a thief or a forger would. */
  setSession(session: unknown): void {
    const [first] = sessionCookies(this.cookies)
    const name = (first?.[0] ?? 'sb-127-auth-token').replace(/\.\d+$/, '')
    for (const [old] of sessionCookies(this.cookies)) this.cookies.delete(old)
    this.cookies.set(name, `base64-${Buffer.from(JSON.stringify(session)).toString('base64url')}`)
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';')
    const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    const isGone = attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute)) || value === ''
    if (isGone) this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}

function sessionCookies(cookies: Map<string, string>): [string, string][] {
  return [...cookies].filter(([name]) => /-auth-token(\.\d+)?$/.test(name)).sort()
}

/** A new person who signed up in the app. */
export async function newUser(app: App): Promise<{ browser: Browser; email: string; id: string; token: string }> {
  const browser = new Browser(app)
  const email = `person-${++counter}-${process.pid}@example.test`
  const response = await browser.send('POST', '/api/auth/sign-up', { email, password: PASSWORD })
  if (!response.ok) throw new Error(`sign-up answered ${response.status}: ${await response.text()}`)
  const token = browser.session().access_token
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub: string }
  return { browser, email, id: claims.sub, token }
}

/** A new person who is an admin. */
export async function newAdmin(app: App): ReturnType<typeof newUser> {
  const admin = await newUser(app)
  await setRole(app, admin.id, 'admin')
  return admin
}

export async function setRole(app: App, userId: string, role: 'admin' | 'user'): Promise<void> {
  await app.sql('update public.profiles set role = $2 where user_id = $1', [userId, role])
}

export async function available(browser: Browser): Promise<string> {
  return ((await (await browser.fetch('/api/credits/balance')).json()) as { available: string }).available
}
