import { beforeAll, describe, expect, it } from 'vitest'
import { DEV_KEYS, type RoleKeys, roleKeys } from '../keys.ts'
import { createKeyCheck } from './api-keys.ts'

describe('the key of a request', () => {
  let roles: RoleKeys
  let check: ReturnType<typeof createKeyCheck>
  beforeAll(async () => {
    roles = await roleKeys()
    check = createKeyCheck(roles)
  })
  const tokenFor = (headers: Record<string, string>, query = '') => {
    const given = { ...headers }
    const refusal = check(given, new URLSearchParams(query))
    return refusal ? refusal.body.message : given.authorization
  }

  it('gives an opaque key its role', () => {
    expect(tokenFor({ apikey: DEV_KEYS.publishableKey })).toBe(`Bearer ${roles.anonKey}`)
    expect(tokenFor({ apikey: DEV_KEYS.secretKey })).toBe(`Bearer ${roles.serviceRoleKey}`)
    expect(tokenFor({ authorization: `Bearer ${DEV_KEYS.secretKey}` })).toBe(`Bearer ${roles.serviceRoleKey}`)
    expect(tokenFor({}, `apikey=${DEV_KEYS.publishableKey}`)).toBe(`Bearer ${roles.anonKey}`)
  })

  it('lets the token of a user pass with any key', () => {
    expect(tokenFor({ apikey: DEV_KEYS.publishableKey, authorization: 'Bearer a.b.c' })).toBe('Bearer a.b.c')
  })

  it('still takes the legacy role keys', () => {
    expect(tokenFor({ apikey: roles.anonKey })).toBe(`Bearer ${roles.anonKey}`)
  })

  it('refuses a missing and an unknown key', () => {
    expect(tokenFor({})).toBe('No API key found in request')
    expect(tokenFor({ apikey: 'sb_publishable_wrong' })).toBe('Invalid API key')
    expect(tokenFor({ apikey: 'wrong', authorization: 'Bearer a.b.c' })).toBe('Invalid API key')
    expect(tokenFor({ authorization: 'Bearer sb_secret_wrong' })).toBe('Invalid API key')
  })

  it('refuses the secret key from a browser, as a hosted project does', () => {
    const browser = { 'user-agent': 'Mozilla/5.0' }
    expect(tokenFor({ apikey: DEV_KEYS.secretKey, ...browser })).toMatch(/in browser/)
    expect(tokenFor({ apikey: DEV_KEYS.publishableKey, ...browser })).toBe(`Bearer ${roles.anonKey}`)
  })
})
