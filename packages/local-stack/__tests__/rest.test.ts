import { type CryptoKey, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { client, freshEmail, PASSWORD, testStack } from './support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await testStack()
})
afterAll(() => stack?.stop())

const who = async (key: string, token?: string) => {
  const response = await fetch(`${stack.url}/rest/v1/rpc/who`, {
    method: 'POST',
    headers: {
      apikey: key,
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: '{}',
  })
  return response.ok ? await response.json() : response.status
}

describe('keys at the REST API', () => {
  it('decide the role', async () => {
    expect(await who(stack.publishableKey)).toBe('anon')
    expect(await who(stack.secretKey)).toBe('service_role')
    expect(await who(stack.anonKey)).toBe('anon')
    expect(await who(stack.serviceRoleKey)).toBe('service_role')
  })

  it('give way to the token of a user', async () => {
    const { data } = await client(stack, stack.publishableKey).auth.signUp({ email: freshEmail(), password: PASSWORD })
    expect(await who(stack.publishableKey, data.session?.access_token)).toBe('authenticated')
  })

  it('that are unknown are refused', async () => {
    expect(await who('sb_publishable_wrong')).toBe(401)
    expect(await who('sb_secret_wrong')).toBe(401)
  })

  it('do not reach PostgREST unexchanged', async () => {
    const direct = await fetch(`${stack.restUrl}/rpc/who`, { headers: { authorization: `Bearer ${stack.secretKey}` } })
    expect(direct.status).toBe(401)
  })
})

describe('a forged token', () => {
  const claims = { role: 'service_role', sub: '00000000-0000-0000-0000-000000000001', aud: 'authenticated' }
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const inTenMinutes = () => Math.floor(Date.now() / 1000) + 600

  async function forgeries(): Promise<Record<string, string>> {
    const foreign = await generateKeyPair('ES256')
    const kid = String(stack.jwks.keys[0]?.kid)
    const sign = (alg: string, key: CryptoKey | Uint8Array, more = {}) =>
      new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg, kid }).setExpirationTime(inTenMinutes()).sign(key)
    const publicKeyAsSecret = new TextEncoder().encode(JSON.stringify(stack.jwks.keys[0]))
    const good = await new SignJWT({ ...claims, role: 'authenticated', exp: inTenMinutes() })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(stack.jwtSecret))
    const [header, , signature] = good.split('.')
    return {
      'signed with a foreign key': await sign('ES256', foreign.privateKey),
      'signed with another secret': await sign('HS256', new TextEncoder().encode('x'.repeat(40))),
      'signed with the public key as a secret': await sign('HS256', publicKeyAsSecret),
      'without a signature': `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ ...claims, exp: inTenMinutes() })}.`,
      'with the body exchanged': `${header}.${encode({ ...claims, exp: inTenMinutes() })}.${signature}`,
      'that has expired': await new SignJWT({ ...claims, exp: inTenMinutes() - 1200 })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(new TextEncoder().encode(stack.jwtSecret)),
    }
  }

  it('is refused by the REST API and by the auth server', async () => {
    for (const [name, token] of Object.entries(await forgeries())) {
      expect(await who(stack.publishableKey, token), name).toBe(401)
      const { error } = await client(stack, stack.publishableKey).auth.getUser(token)
      expect(error, name).toMatchObject({ status: 403, code: 'bad_jwt' })
      const list = await fetch(`${stack.url}/auth/v1/admin/users`, {
        headers: { apikey: stack.publishableKey, authorization: `Bearer ${token}` },
      })
      expect(list.status, name).toBe(403)
    }
  })
})

describe('the REST API', () => {
  it('shows a user their own rows alone', async () => {
    const ann = client(stack, stack.publishableKey)
    await ann.auth.signUp({ email: freshEmail(), password: PASSWORD })
    await client(stack, stack.publishableKey).auth.signUp({ email: freshEmail(), password: PASSWORD })
    expect((await ann.from('notes').select('body')).data).toHaveLength(1)
    expect((await client(stack, stack.publishableKey).from('notes').select('body')).error?.code).toBe('42501')
  })

  it('passes filters, counts and ranges on as they were written', async () => {
    const service = client(stack, stack.secretKey)
    const { data, count } = await service
      .from('notes')
      .select('body,amount::text', { count: 'exact' })
      .eq('body', 'welcome')
      .range(0, 0)
    expect(data).toEqual([{ body: 'welcome', amount: '0.100000' }])
    expect(count).toBeGreaterThan(1)
  })

  it('answers preflight requests of any origin', async () => {
    const response = await fetch(`${stack.url}/rest/v1/notes`, {
      method: 'OPTIONS',
      headers: { origin: 'http://example.com', 'access-control-request-headers': 'apikey,x-client-info' },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-headers')).toBe('apikey,x-client-info')
  })

  it('does not answer under a foreign host name, which a page on the internet could point here', async () => {
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const req = request(`${stack.url}/rest/v1/`, { headers: { host: 'evil.example', apikey: stack.secretKey } })
      req.on('response', (res) => resolve(res.statusCode)).on('error', reject)
      req.end()
    })
    expect(status).toBe(421)
  })
})
