import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Mail } from '../src/auth/mail/outbox.ts'
import type { Stack } from '../src/index.ts'
import { withClient } from '../src/postgres/connect.ts'
import { client, freshEmail, PASSWORD, testStack } from './support/stack.ts'

const APP = 'http://localhost:3000/auth/callback'

let stack: Stack
beforeAll(async () => {
  stack = await testStack({ auth: { confirmEmail: true } })
})
afterAll(() => stack?.stop())

const anonymous = () => client(stack, stack.publishableKey)
const admin = () => client(stack, stack.secretKey).auth.admin

/** A browser client: keeps the PKCE verifier, as the web app does. */
function browser() {
  const memory = new Map<string, string>()
  const storage = {
    getItem: (key: string) => memory.get(key) ?? null,
    setItem: (key: string, value: string) => void memory.set(key, value),
    removeItem: (key: string) => void memory.delete(key),
  }
  return createClient(stack.url, stack.publishableKey, { auth: { flowType: 'pkce', storage, autoRefreshToken: false } })
}

async function mailTo(address: string): Promise<Mail> {
  const response = await fetch(`${stack.mailUrl}/messages?to=${encodeURIComponent(address)}`)
  const { messages } = (await response.json()) as { messages: Mail[] }
  if (!messages[0]) throw new Error(`no mail to ${address}`)
  return messages[0]
}

/** Follows a link as a browser does. Returns where it leads. */
async function follow(link: string): Promise<URL> {
  const response = await fetch(link, { redirect: 'manual' })
  expect(response.status).toBe(303)
  return new URL(response.headers.get('location') ?? '')
}
const fragment = (url: URL) => Object.fromEntries(new URLSearchParams(url.hash.slice(1)))

async function confirmedUser() {
  const email = freshEmail()
  const { data } = await admin().createUser({ email, password: PASSWORD, email_confirm: true })
  const supabase = anonymous()
  await supabase.auth.signInWithPassword({ email, password: PASSWORD })
  return { email, supabase, id: data.user?.id ?? '' }
}

describe('a sign-up that must be confirmed', () => {
  it('gives a user but no session, and no sign-in until the link was followed', async () => {
    const email = freshEmail()
    const { data, error } = await anonymous().auth.signUp({
      email,
      password: PASSWORD,
      options: { emailRedirectTo: APP },
    })
    expect(error).toBeNull()
    expect(data.session).toBeNull()
    expect(data.user).toMatchObject({ email, identities: [{ provider: 'email' }] })
    const early = await anonymous().auth.signInWithPassword({ email, password: PASSWORD })
    expect(early.error?.code).toBe('email_not_confirmed')

    const target = await follow((await mailTo(email)).link)
    expect(target.origin + target.pathname).toBe(APP)
    expect(fragment(target)).toMatchObject({
      type: 'signup',
      token_type: 'bearer',
      refresh_token: expect.stringMatching(/^\w{12}$/),
    })
    const { data: who } = await anonymous().auth.getUser(fragment(target).access_token)
    expect(who.user?.user_metadata.email_verified).toBe(true)
    expect((await anonymous().auth.signInWithPassword({ email, password: PASSWORD })).error).toBeNull()
  })

  it('ends with a code that only the browser it began in can exchange (PKCE)', async () => {
    const email = freshEmail()
    const ann = browser()
    await ann.auth.signUp({ email, password: PASSWORD, options: { emailRedirectTo: APP } })
    const code = (await follow((await mailTo(email)).link)).searchParams.get('code') ?? ''
    const stranger = browser()
    await stranger.auth.signUp({ email: freshEmail(), password: PASSWORD })
    expect((await stranger.auth.exchangeCodeForSession(code)).error?.code).toBe('bad_code_verifier')
    const { data } = await ann.auth.exchangeCodeForSession(code)
    expect(data.session?.user.email).toBe(email)
    expect(
      (
        await fetch(`${stack.url}/auth/v1/token?grant_type=pkce`, {
          method: 'POST',
          headers: { apikey: stack.publishableKey },
          body: JSON.stringify({ auth_code: code, code_verifier: 'x'.repeat(43) }),
        })
      ).status,
    ).toBe(404)
  })

  it('can be confirmed by the code in the mail, and by the token hash', async () => {
    for (const by of ['otp', 'hash']) {
      const email = freshEmail()
      await anonymous().auth.signUp({ email, password: PASSWORD })
      const { otp, tokenHash } = await mailTo(email)
      const wrong = await anonymous().auth.verifyOtp({
        email,
        token: otp === '000000' ? '000001' : '000000',
        type: 'email',
      })
      expect(wrong.error).toMatchObject({ code: 'otp_expired', status: 403 })
      const { data, error } = await anonymous().auth.verifyOtp(
        by === 'otp' ? { email, token: otp, type: 'signup' } : { token_hash: tokenHash, type: 'email' },
      )
      expect(error).toBeNull()
      expect(data.session?.user.email).toBe(email)
    }
  })

  it('does not tell that an address is taken', async () => {
    const { email } = await confirmedUser()
    const { data, error } = await anonymous().auth.signUp({ email, password: 'another password' })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ email, identities: [] })
    await expect(mailTo(email)).rejects.toThrow('no mail')
  })

  it('can be asked for again, and only the newest link works', async () => {
    const email = freshEmail()
    await anonymous().auth.signUp({ email, password: PASSWORD })
    const first = await mailTo(email)
    expect((await anonymous().auth.resend({ type: 'signup', email })).error).toBeNull()
    const second = await mailTo(email)
    expect(second.id).not.toBe(first.id)
    expect(fragment(await follow(first.link))).toMatchObject({ error_code: 'otp_expired' })
    expect(fragment(await follow(second.link))).toHaveProperty('access_token')
  })
})

describe('a link', () => {
  it('a link works once and not after its time, and the app gets the reason', async () => {
    const email = freshEmail()
    await anonymous().auth.signUp({ email, password: PASSWORD, options: { emailRedirectTo: APP } })
    const { link } = await mailTo(email)
    await follow(link)
    expect(fragment(await follow(link))).toEqual({
      error: 'access_denied',
      error_code: 'otp_expired',
      error_description: 'Email link is invalid or has expired',
    })
    await anonymous().auth.resetPasswordForEmail(email)
    const late = await mailTo(email)
    const target = { port: Number(new URL(stack.adminDbUrl).port), user: 'supabase_admin' }
    await withClient(target, (db) =>
      db.query(`update auth.one_time_tokens set created_at = created_at - interval '61 minutes'`),
    )
    expect(fragment(await follow(late.link)).error_code).toBe('otp_expired')
  })

  it('never leads to a foreign site', async () => {
    for (const emailRedirectTo of ['https://evil.example/x', 'javascript:alert(1)', 'http://localhost.evil.example/']) {
      const email = freshEmail()
      await anonymous().auth.signUp({ email, password: PASSWORD, options: { emailRedirectTo } })
      expect((await follow((await mailTo(email)).link)).origin).toBe('http://127.0.0.1:3000')
    }
  })
})

describe('a forgotten password', () => {
  it('is replaced after following the link', async () => {
    const { email } = await confirmedUser()
    const ann = browser()
    await ann.auth.resetPasswordForEmail(email, { redirectTo: APP })
    const mail = await mailTo(email)
    expect(mail.kind).toBe('recovery')
    await ann.auth.exchangeCodeForSession((await follow(mail.link)).searchParams.get('code') ?? '')
    expect((await ann.auth.updateUser({ password: 'new password' })).error).toBeNull()
    expect((await anonymous().auth.signInWithPassword({ email, password: 'new password' })).error).toBeNull()
  })

  it('of an unknown address is answered like any other', async () => {
    expect((await anonymous().auth.resetPasswordForEmail(freshEmail())).error).toBeNull()
  })
})

describe('a magic link', () => {
  it('signs a user in', async () => {
    const { email, id } = await confirmedUser()
    await anonymous().auth.signInWithOtp({ email })
    const { data } = await anonymous().auth.verifyOtp({ email, token: (await mailTo(email)).otp, type: 'email' })
    expect(data.user?.id).toBe(id)
  })

  it('creates a user, unless it shall not', async () => {
    const email = freshEmail()
    expect((await anonymous().auth.signInWithOtp({ email, options: { shouldCreateUser: false } })).error).toMatchObject(
      { code: 'otp_disabled', status: 422 },
    )
    const ann = browser()
    await ann.auth.signInWithOtp({ email, options: { emailRedirectTo: APP, data: { name: 'Ann' } } })
    const { data } = await ann.auth.exchangeCodeForSession(
      (await follow((await mailTo(email)).link)).searchParams.get('code') ?? '',
    )
    expect(data.session?.user).toMatchObject({ email, user_metadata: { name: 'Ann', email_verified: true } })
  })
})

describe('a new address', () => {
  it('is confirmed from both mailboxes before it counts', async () => {
    const { email, supabase } = await confirmedUser()
    const wanted = freshEmail('new')
    const { data } = await supabase.auth.updateUser({ email: wanted })
    expect(data.user).toMatchObject({ email, new_email: wanted })
    const half = await follow((await mailTo(wanted)).link)
    expect(fragment(half).message).toMatch(/confirm link sent to the other email/)
    expect((await supabase.auth.getUser()).data.user?.email).toBe(email)
    await follow((await mailTo(email)).link)
    const { data: after } = await supabase.auth.getUser()
    expect(after.user?.email).toBe(wanted)
    expect(after.user?.identities?.[0]?.identity_data?.email).toBe(wanted)
    expect((await anonymous().auth.signInWithPassword({ email: wanted, password: PASSWORD })).error).toBeNull()
  })

  it('an address that belongs to another user is refused', async () => {
    const [ann, bob] = await Promise.all([confirmedUser(), confirmedUser()])
    expect((await ann.supabase.auth.updateUser({ email: bob.email })).error).toMatchObject({
      code: 'email_exists',
      status: 422,
    })
  })
})

describe('the service role', () => {
  it('invites, and makes links without sending them', async () => {
    const email = freshEmail()
    expect((await admin().inviteUserByEmail(email)).data.user?.invited_at).toBeDefined()
    expect((await mailTo(email)).kind).toBe('invite')
    const { email: known } = await confirmedUser()
    const { data } = await admin().generateLink({ type: 'recovery', email: known, options: { redirectTo: APP } })
    expect(data.properties).toMatchObject({ verification_type: 'recovery', redirect_to: APP })
    expect(fragment(await follow(data.properties?.action_link ?? ''))).toHaveProperty('access_token')
    await expect(mailTo(known)).rejects.toThrow('no mail')
  })
})

describe('the mail catcher', () => {
  it('shows what arrived, and nothing of it can run', async () => {
    const email = freshEmail()
    await anonymous().auth.signUp({ email, password: PASSWORD })
    const list = await fetch(stack.mailUrl)
    expect(await list.text()).toContain(email)
    const message = await fetch(`${stack.mailUrl}/${(await mailTo(email)).id}`)
    expect(message.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(await message.text()).toContain('<iframe sandbox')
  })
})
