import { createServerClient } from '@supabase/ssr'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { client, freshEmail, PASSWORD, testStack } from './support/stack.ts'

const APP = 'http://127.0.0.1:3000/auth/callback?next=/chat'

let stack: Stack
beforeAll(async () => {
  stack = await testStack()
})
afterAll(() => stack?.stop())

function browser() {
  const jar = new Map<string, string>()
  return createServerClient(stack.url, stack.publishableKey, {
    cookies: {
      getAll: () => [...jar].map(([name, value]) => ({ name, value })),
      setAll: (cookies) => {
        for (const { name, value } of cookies) value ? jar.set(name, value) : jar.delete(name)
      },
    },
  })
}
type Browser = ReturnType<typeof browser>

/** Fills in the consent page that a provider's link leads to, and returns where it leads back to. */
async function consent(url: string | undefined, answer: Record<string, string>): Promise<URL> {
  const hop = await fetch(url ?? '', { redirect: 'manual' })
  const page = hop.status === 302 ? (hop.headers.get('location') ?? '') : (url ?? '')
  const html = await (await fetch(page)).text()
  const action = /action="([^"]+)"/.exec(html)?.[1] ?? ''
  const state = /name="state" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const back = await fetch(`${action}?${new URLSearchParams({ state, ...answer })}`, { redirect: 'manual' })
  expect(back.status).toBe(302)
  return new URL(back.headers.get('location') ?? '')
}

async function signInWith(provider: 'google' | 'github', email: string, user: Browser = browser()) {
  const { data } = await user.auth.signInWithOAuth({
    provider,
    options: { redirectTo: APP, skipBrowserRedirect: true },
  })
  const back = await consent(data.url ?? undefined, { email, name: 'Ada' })
  return { back, ...(await user.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '')) }
}

describe.each(['google', 'github'] as const)('signing in with %s', (provider) => {
  it('creates the user, keeps the way back, and finds the same user again', async () => {
    const email = freshEmail(provider)
    const first = await signInWith(provider, email)
    expect(first.back.href).toMatch(/^http:\/\/127\.0\.0\.1:3000\/auth\/callback\?next=%2Fchat&code=[\w-]{36}$/)
    expect(first.data.session?.user).toMatchObject({ email, app_metadata: { provider, providers: [provider] } })
    expect(first.data.session?.provider_token).toBe(`dev-${provider}-token`)
    expect((await signInWith(provider, email)).data.user?.id).toBe(first.data.user?.id)
  })
})

describe('signing in with a provider', () => {
  it('leads to the account that has the address', async () => {
    const email = freshEmail()
    const { data } = await client(stack, stack.publishableKey).auth.signUp({ email, password: PASSWORD })
    const social = await signInWith('google', email)
    expect(social.data.user?.id).toBe(data.user?.id)
    expect(social.data.user?.app_metadata.providers).toEqual(['email', 'google'])
    expect(
      (await client(stack, stack.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })).error,
    ).toBeNull()
  })

  it('takes nothing over from an unconfirmed account that was made in advance', async () => {
    const email = freshEmail()
    await client(stack, stack.secretKey).auth.admin.createUser({ email, password: 'planted password' })
    const { data } = await signInWith('google', email)
    expect(data.user?.identities?.map((identity) => identity.provider)).toEqual(['google'])
    const planted = await client(stack, stack.publishableKey).auth.signInWithPassword({
      email,
      password: 'planted password',
    })
    expect(planted.error?.code).toBe('invalid_credentials')
  })

  it('a sign-in that the person cancels sends the reason to the app', async () => {
    const { data } = await browser().auth.signInWithOAuth({
      provider: 'github',
      options: { redirectTo: APP, skipBrowserRedirect: true },
    })
    const back = await consent(data.url ?? undefined, { error: 'access_denied' })
    expect(back.searchParams.get('error')).toBe('access_denied')
  })

  it('that does not exist, or with a state that was never given out, is refused', async () => {
    const get = async (path: string) => {
      const response = await fetch(`${stack.url}/auth/v1/${path}`, { redirect: 'manual' })
      return [response.status, ((await response.json()) as { error_code: string }).error_code]
    }
    expect(await get('authorize?provider=facebook')).toEqual([400, 'validation_failed'])
    expect(await get('callback?state=00000000-0000-0000-0000-000000000009&email=a@b.cc')).toEqual([
      400,
      'bad_oauth_state',
    ])
    expect(await get('_dev/consent?state=nonsense')).toEqual([400, 'bad_oauth_state'])
  })

  it('never leads back to a foreign site', async () => {
    const options = { redirectTo: 'https://evil.example/', skipBrowserRedirect: true }
    const { data } = await browser().auth.signInWithOAuth({ provider: 'google', options })
    const back = await consent(data.url ?? undefined, { email: freshEmail() })
    expect(back.origin).toBe('http://127.0.0.1:3000')
  })
})

describe('a visitor without a name', () => {
  async function visitor() {
    const user = browser()
    const { data, error } = await user.auth.signInAnonymously({ options: { data: { theme: 'dark' } } })
    expect(error).toBeNull()
    return { user, id: data.user?.id ?? '' }
  }

  it('has a session that says so', async () => {
    const { user, id } = await visitor()
    const { data } = await user.auth.getClaims()
    expect(data?.claims).toMatchObject({
      sub: id,
      is_anonymous: true,
      role: 'authenticated',
      amr: [{ method: 'anonymous' }],
    })
    expect((await user.auth.getUser()).data.user).toMatchObject({
      is_anonymous: true,
      identities: [],
      user_metadata: { theme: 'dark' },
    })
  })

  it('becomes a permanent user with an address and a password, and stays the same one', async () => {
    const { user, id } = await visitor()
    const email = freshEmail()
    expect((await user.auth.updateUser({ password: PASSWORD })).error?.status).toBe(422)
    const { data } = await user.auth.updateUser({ email })
    expect(data.user).toMatchObject({ id, email, is_anonymous: false, app_metadata: { provider: 'email' } })
    await user.auth.updateUser({ password: PASSWORD })
    const again = await client(stack, stack.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })
    expect(again.data.user?.id).toBe(id)
  })

  it('becomes a permanent user by linking an identity', async () => {
    const { user, id } = await visitor()
    const email = freshEmail()
    const { data } = await user.auth.linkIdentity({
      provider: 'google',
      options: { redirectTo: APP, skipBrowserRedirect: true },
    })
    const back = await consent(data.url ?? undefined, { email })
    const linked = await user.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '')
    expect(linked.data.user).toMatchObject({ id, email, is_anonymous: false })
  })

  it('is refused where the settings say so', async () => {
    const strict = await testStack({ auth: { anonymousSignIns: false, manualLinking: false } })
    const { error } = await client(strict, strict.publishableKey).auth.signInAnonymously()
    await strict.stop()
    expect(error).toMatchObject({ code: 'anonymous_provider_disabled', status: 422 })
  })
})

describe('identities', () => {
  it('are listed, linked and unlinked, but never the last one, and never one of another user else', async () => {
    const user = browser()
    const email = freshEmail()
    await user.auth.signUp({ email, password: PASSWORD })
    const link = async (who: Browser, address: string) => {
      const { data } = await who.auth.linkIdentity({
        provider: 'github',
        options: { redirectTo: APP, skipBrowserRedirect: true },
      })
      return consent(data.url ?? undefined, { email: address })
    }
    const only = (await user.auth.getUserIdentities()).data?.identities[0]
    if (!only) throw new Error('no identity')
    expect((await user.auth.unlinkIdentity(only)).error?.code).toBe('single_identity_not_deletable')
    const address = freshEmail('other')
    await link(user, address)
    const { data } = await user.auth.getUserIdentities()
    expect(data?.identities.map((identity) => identity.provider)).toEqual(['email', 'github'])
    const other = browser()
    await other.auth.signUp({ email: freshEmail(), password: PASSWORD })
    expect((await link(other, address)).searchParams.get('error_code')).toBe('identity_already_exists')
    const github = data?.identities[1]
    if (!github) throw new Error('not linked')
    expect((await other.auth.unlinkIdentity(github)).error?.code).toBe('identity_not_found')
    expect((await user.auth.unlinkIdentity(github)).error).toBeNull()
    expect((await user.auth.getUser()).data.user?.app_metadata.providers).toEqual(['email'])
  })
})
