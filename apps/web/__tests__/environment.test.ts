import { expect, test } from 'vitest'
import { startServer } from './support/app.ts'

const COMPLETE = {
  NEXT_PUBLIC_SUPABASE_URL: 'http://127.0.0.1:9',
  NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_test',
  SUPABASE_SECRET_KEY: 'sb_secret_do-not-print-me',
  AI_GATEWAY_API_KEY: 'gateway-do-not-print-me',
}

test('an app without its variables names the missing ones on pages and routes, and never a value', async () => {
  const { NEXT_PUBLIC_SUPABASE_URL: _, ...rest } = COMPLETE
  const server = await startServer({ ...rest, AI_GATEWAY_BASE_URL: 'not a url' })
  try {
    for (const path of ['/', '/chat', '/sign-in', '/upgrade']) {
      const page = await fetch(`${server.url}${path}`)
      const html = await page.text()
      expect(page.status, path).toBe(500)
      expect(html).toContain('NEXT_PUBLIC_SUPABASE_URL')
      expect(html).toContain('AI_GATEWAY_BASE_URL')
      expect(html).not.toContain('do-not-print-me')
    }
    for (const path of ['/api/credits/balance', '/api/health', '/api/admin/credits/margins']) {
      const response = await fetch(`${server.url}${path}`)
      const text = await response.text()
      expect(response.status, path).toBe(500)
      expect(JSON.parse(text)).toMatchObject({
        code: 'CONFIG_INVALID',
        missing: ['NEXT_PUBLIC_SUPABASE_URL', 'AI_GATEWAY_BASE_URL'],
      })
      expect(text).not.toContain('do-not-print-me')
    }
    expect(server.output()).not.toContain('do-not-print-me')
  } finally {
    await server.stop()
  }
})

test('the route of the scheduler refuses every request while CRON_SECRET is not set, "Bearer undefined" included', async () => {
  const server = await startServer({ ...COMPLETE, CRON_SECRET: ' ' })
  try {
    for (const authorization of ['Bearer undefined', 'Bearer ', 'Bearer  ']) {
      const response = await fetch(`${server.url}/api/cron/credits`, { headers: { authorization } })
      expect(response.status, authorization).toBe(500)
      expect(await response.json()).toMatchObject({ code: 'CONFIG_INVALID', missing: ['CRON_SECRET'] })
    }
  } finally {
    await server.stop()
  }
})

test('an app whose database and auth server are away says so on pages and routes and names no address', async () => {
  const server = await startServer(COMPLETE)
  try {
    const health = await fetch(`${server.url}/api/health`)
    expect(health.status).toBe(503)
    expect(health.headers.get('retry-after')).toBe('2')
    const text = await health.text()
    expect(JSON.parse(text)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(text).not.toMatch(/127\.0\.0\.1|ECONNREFUSED/)
    const balance = await fetch(`${server.url}/api/credits/balance`, { headers: { authorization: 'Bearer a.b.c' } })
    expect(balance.status).toBe(503)
    expect((await fetch(`${server.url}/`)).status).toBe(200)
  } finally {
    await server.stop()
  }
})
