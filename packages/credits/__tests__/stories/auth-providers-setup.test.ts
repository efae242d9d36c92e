import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startWeb } from '../../../../scripts/demo/web.ts'
import { createTestApp, type TestApp } from '../kit/web.ts'

interface Config {
  auth: {
    site_url: string
    additional_redirect_urls: string[]
    enable_signup: boolean
    email: { enabled: boolean; template: Record<string, { content_path: string }> }
    external: Record<string, { client_id: string; secret: string }>
  }
}

const at = (path: string) => new URL(`../../../../${path}`, import.meta.url)
const { auth } = parse(readFileSync(at('supabase/config.toml'), 'utf8')) as unknown as Config

describe('auth-providers-setup', () => {
  let test: TestApp
  beforeAll(async () => {
    test = await createTestApp()
  })
  afterAll(() => test?.stop())

  it('config.toml turns on e-mail sign-in, takes Google and GitHub from env() and lists the redirect addresses', () => {
    expect([auth.enable_signup, auth.email.enabled]).toEqual([true, true])
    for (const name of ['google', 'github']) {
      const { client_id, secret } = auth.external[name] ?? { client_id: '', secret: '' }
      const prefix = `SUPABASE_AUTH_EXTERNAL_${name.toUpperCase()}`
      expect([client_id, secret]).toEqual([`env(${prefix}_CLIENT_ID)`, `env(${prefix}_SECRET)`])
    }
    expect(auth.additional_redirect_urls).toEqual(
      expect.arrayContaining(['http://localhost:3000/**', 'http://127.0.0.1:3000/**']),
    )
  })

  it('every e-mail template of config.toml exists', () => {
    const templates = auth.email.template
    expect(Object.keys(templates)).toEqual(
      expect.arrayContaining(['confirmation', 'recovery', 'magic_link', 'email_change']),
    )
    for (const { content_path } of Object.values(templates)) {
      expect(existsSync(at(content_path)), content_path).toBe(true)
      expect(readFileSync(at(content_path), 'utf8')).toMatch(/\{\{ \.(ConfirmationURL|TokenHash|Token) \}\}/)
    }
  })

  it('a user signs up, signs out, signs in and refreshes the session in the web app', async () => {
    const email = `${crypto.randomUUID()}@example.test`
    const password = 'a-long-password'
    const cookies = new Map<string, string>()
    const post = async (path: string, body: unknown) => {
      const response = await fetch(new URL(path, test.web.url), {
        method: 'POST',
        redirect: 'manual',
        headers: {
          origin: new URL(test.web.url).origin,
          'content-type': 'application/json',
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        },
        body: JSON.stringify(body),
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (value) cookies.set(name, value)
        else cookies.delete(name)
      }
      return response.status
    }
    const balance = async () => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      return (await fetch(new URL('/api/credits/balance', test.web.url), { headers: { cookie } })).status
    }
    expect(await post('/api/auth/sign-up', { email, password })).toBeLessThan(400)
    expect(await balance()).toBe(200)
    const stale = new Map(cookies)
    expect(await post('/api/auth/sign-out', {})).toBeLessThan(400)
    expect(await balance()).toBe(401)
    for (const [name, value] of stale) cookies.set(name, value)
    expect(await balance()).toBe(401)
    cookies.clear()
    expect(await post('/api/auth/sign-in', { email, password: 'wrong-password' })).toBeGreaterThanOrEqual(400)
    expect(await post('/api/auth/sign-in', { email, password })).toBeLessThan(400)
    expect(await balance()).toBe(200)

    const person = await test.signedIn({ email, password })
    const before = (await person.supabase.auth.getSession()).data.session?.refresh_token
    const { data, error } = await person.supabase.auth.refreshSession()
    expect(error).toBeNull()
    expect(data.session?.refresh_token).not.toBe(before)
    expect((await person.fetch('/api/credits/balance')).status).toBe(200)
  })

  it('Google and GitHub stay off in the web app until their variables are set', async () => {
    const page = async (url: string) => (await fetch(new URL('/sign-in', url))).text()
    expect(await page(test.web.url)).not.toMatch(/Google|GitHub/)
    const names = ['SUPABASE_AUTH_EXTERNAL_GOOGLE_CLIENT_ID', 'SUPABASE_AUTH_EXTERNAL_GITHUB_CLIENT_ID']
    for (const name of names) process.env[name] = 'client-id'
    const withProviders = await startWeb({ stack: test.stack, port: 0 })
    try {
      expect(await page(withProviders.url)).toMatch(/Google[\s\S]*GitHub|GitHub[\s\S]*Google/)
    } finally {
      for (const name of names) delete process.env[name]
      await withProviders.stop()
    }
  })
})
