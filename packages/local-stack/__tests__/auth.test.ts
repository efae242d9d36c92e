import type { Session } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { withClient } from '../src/postgres/connect.ts'
import { client, freshEmail, PASSWORD, testStack } from './support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await testStack({ auth: { refreshReuseSeconds: 1 } })
})
afterAll(() => stack?.stop())

const anonymous = () => client(stack, stack.publishableKey)
const admin = () => client(stack, stack.secretKey).auth.admin

async function signUp(email = freshEmail()) {
  const supabase = anonymous()
  const { data, error } = await supabase.auth.signUp({ email, password: PASSWORD, options: { data: { name: 'Ann' } } })
  if (error || !data.session || !data.user) throw error ?? new Error('no session')
  return { supabase, email, session: data.session, user: data.user }
}

const superuser = () => ({ port: Number(new URL(stack.adminDbUrl).port), user: 'supabase_admin' })

describe('signing up', () => {
  it('opens a session and says who the user is', async () => {
    const { supabase, email, user } = await signUp()
    expect(user).toMatchObject({ email, role: 'authenticated', is_anonymous: false })
    expect(user.user_metadata).toMatchObject({ name: 'Ann', email_verified: true })
    expect(user.app_metadata).toEqual({ provider: 'email', providers: ['email'] })
    expect(user.identities?.[0]).toMatchObject({ provider: 'email', identity_data: { email, sub: user.id } })
    const { data } = await supabase.auth.getUser()
    expect(data.user?.id).toBe(user.id)
  })

  it('issues an access token that the client verifies itself with the published keys', async () => {
    const { supabase, user } = await signUp()
    const { data } = await supabase.auth.getClaims()
    expect(data?.header.alg).toBe('ES256')
    expect(data?.claims).toMatchObject({
      iss: `${stack.url}/auth/v1`,
      sub: user.id,
      aud: 'authenticated',
      role: 'authenticated',
      aal: 'aal1',
      is_anonymous: false,
      amr: [{ method: 'password', timestamp: expect.any(Number) }],
    })
  })

  it('refuses an address that is taken, in any spelling', async () => {
    const { email } = await signUp()
    const { error } = await anonymous().auth.signUp({ email: email.toUpperCase(), password: PASSWORD })
    expect(error).toMatchObject({ code: 'user_already_exists', status: 422 })
  })

  it.each([
    ['a short password', { email: 'short@example.com', password: '123' }, 'weak_password', 422],
    [
      'a password that bcrypt would cut',
      { email: 'long@example.com', password: 'x'.repeat(73) },
      'validation_failed',
      400,
    ],
    ['something that is no address', { email: 'nobody', password: PASSWORD }, 'validation_failed', 400],
  ])('refuses %s', async (_what, credentials, code, status) => {
    const { error } = await anonymous().auth.signUp(credentials)
    expect(error).toMatchObject({ code, status })
  })

  it('stores what GoTrue stores: empty tokens instead of null, a bcrypt hash, an identity', async () => {
    const { user } = await signUp()
    const row = await withClient(superuser(), async (db) => {
      return (await db.query('select * from auth.users where id = $1', [user.id])).rows[0]
    })
    expect(row.encrypted_password).toMatch(/^\$2a\$/)
    expect([row.confirmation_token, row.recovery_token, row.email_change_token_new, row.email_change]).toEqual([
      '',
      '',
      '',
      '',
    ])
  })

  it('runs the triggers of the app at the moment GoTrue runs them: role empty, address unconfirmed', async () => {
    const seen = await withClient(superuser(), async (db) => {
      await db.query(`create table public.seen (role text, confirmed timestamptz);
        create function public.see() returns trigger language plpgsql security definer set search_path = '' as
          $f$ begin insert into public.seen values (new.role, new.email_confirmed_at); return new; end $f$;
        create trigger see after insert on auth.users for each row execute function public.see()`)
      await signUp()
      const { rows } = await db.query('select * from public.seen')
      await db.query('drop trigger see on auth.users; drop function public.see(); drop table public.seen')
      return rows
    })
    expect(seen).toEqual([{ role: '', confirmed: null }])
  })

  it('fails as a whole when a trigger of the app fails', async () => {
    const email = freshEmail()
    const error = await withClient(superuser(), async (db) => {
      await db.query(`create function public.no() returns trigger language plpgsql as $f$ begin raise 'no'; end $f$;
        create trigger no before insert on auth.users for each row execute function public.no()`)
      const result = await anonymous().auth.signUp({ email, password: PASSWORD })
      await db.query('drop trigger no on auth.users; drop function public.no()')
      return result.error
    })
    expect(error).toMatchObject({ status: 500, message: 'Database error saving new user' })
    expect((await anonymous().auth.signUp({ email, password: PASSWORD })).error).toBeNull()
  })
})

describe('signing in', () => {
  it('works in any spelling of the address', async () => {
    const { email } = await signUp()
    const { data } = await anonymous().auth.signInWithPassword({ email: email.toUpperCase(), password: PASSWORD })
    expect(data.user?.email).toBe(email)
  })

  it('answers a wrong password and an unknown address alike', async () => {
    const { email } = await signUp()
    const wrong = await anonymous().auth.signInWithPassword({ email, password: 'wrong' })
    const unknown = await anonymous().auth.signInWithPassword({ email: freshEmail(), password: PASSWORD })
    expect(wrong.error).toMatchObject({ code: 'invalid_credentials', status: 400 })
    expect(unknown.error).toMatchObject({ code: 'invalid_credentials', message: wrong.error?.message })
  })

  it('is refused while the user is banned', async () => {
    const { email, user } = await signUp()
    await admin().updateUserById(user.id, { ban_duration: '1h30m' })
    const { error } = await anonymous().auth.signInWithPassword({ email, password: PASSWORD })
    expect(error?.code).toBe('user_banned')
    await admin().updateUserById(user.id, { ban_duration: 'none' })
    expect((await anonymous().auth.signInWithPassword({ email, password: PASSWORD })).error).toBeNull()
  })
})

describe('refreshing', () => {
  const refresh = (refresh_token: string) => anonymous().auth.refreshSession({ refresh_token })

  it('rotates the token', async () => {
    const { session } = await signUp()
    const { data } = await refresh(session.refresh_token)
    expect(data.session?.refresh_token).not.toBe(session.refresh_token)
    expect(data.session?.user.id).toBe(session.user.id)
  })

  it('with the parent of the active token gives the active token, for two tabs that refresh at once', async () => {
    const { session } = await signUp()
    const results = await Promise.all(Array.from({ length: 8 }, () => refresh(session.refresh_token)))
    const tokens = new Set(results.map(({ data }) => data.session?.refresh_token))
    expect(tokens.size).toBe(1)
    expect(tokens.has(session.refresh_token)).toBe(false)
  })

  it('with an older token ends the session: there is a copy of it', async () => {
    const { session } = await signUp()
    const second = await refresh(session.refresh_token)
    const third = await refresh(second.data.session?.refresh_token ?? '')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await refresh(session.refresh_token)).error?.code).toBe('refresh_token_already_used')
    expect((await refresh(third.data.session?.refresh_token ?? '')).error).not.toBeNull()
  })

  it('with an unknown token is refused', async () => {
    expect((await refresh('aaaaaaaaaaaa')).error).toMatchObject({ code: 'refresh_token_not_found', status: 400 })
  })
})

describe('signing out', () => {
  const whoIs = async (session: Session | null) => {
    const { error } = await anonymous().auth.getUser(session?.access_token)
    return error === null ? 'signed in' : error.name
  }
  const twice = async () => {
    const first = await signUp()
    const other = await anonymous().auth.signInWithPassword({ email: first.email, password: PASSWORD })
    return { first, other: other.data.session }
  }

  it('locally ends this session alone', async () => {
    const { first, other } = await twice()
    await first.supabase.auth.signOut({ scope: 'local' })
    expect([await whoIs(first.session), await whoIs(other)]).toEqual(['AuthSessionMissingError', 'signed in'])
  })

  it('of others ends all but this one', async () => {
    const { first, other } = await twice()
    await first.supabase.auth.signOut({ scope: 'others' })
    expect([await whoIs(first.session), await whoIs(other)]).toEqual(['signed in', 'AuthSessionMissingError'])
  })

  it('everywhere ends all, and the refresh tokens with them', async () => {
    const { first, other } = await twice()
    await first.supabase.auth.signOut()
    expect([await whoIs(first.session), await whoIs(other)]).toEqual([
      'AuthSessionMissingError',
      'AuthSessionMissingError',
    ])
    const { error } = await anonymous().auth.refreshSession({ refresh_token: other?.refresh_token ?? '' })
    expect(error?.code).toBe('refresh_token_not_found')
  })
})

describe('changing the account', () => {
  it('merges metadata and drops members set to null', async () => {
    const { supabase } = await signUp()
    await supabase.auth.updateUser({ data: { colour: 'blue', shoe: 42 } })
    const { data } = await supabase.auth.updateUser({ data: { shoe: null } })
    expect(data.user?.user_metadata).toMatchObject({ name: 'Ann', colour: 'blue' })
    expect(data.user?.user_metadata).not.toHaveProperty('shoe')
  })

  it('never lets a user write app metadata', async () => {
    const { supabase, session } = await signUp()
    await fetch(`${stack.url}/auth/v1/user`, {
      method: 'PUT',
      headers: { apikey: stack.publishableKey, authorization: `Bearer ${session.access_token}` },
      body: JSON.stringify({ app_metadata: { role: 'admin' }, role: 'service_role' }),
    })
    const { data } = await supabase.auth.getUser()
    expect(data.user).toMatchObject({
      role: 'authenticated',
      app_metadata: { provider: 'email', providers: ['email'] },
    })
  })

  it('to a new password ends the other sessions; the old password no longer works', async () => {
    const { supabase, email } = await signUp()
    const other = await anonymous().auth.signInWithPassword({ email, password: PASSWORD })
    expect((await supabase.auth.updateUser({ password: PASSWORD })).error?.code).toBe('same_password')
    expect((await supabase.auth.updateUser({ password: 'new password' })).error).toBeNull()
    expect((await anonymous().auth.getUser(other.data.session?.access_token)).error).not.toBeNull()
    expect((await anonymous().auth.signInWithPassword({ email, password: PASSWORD })).error?.code).toBe(
      'invalid_credentials',
    )
    expect((await anonymous().auth.signInWithPassword({ email, password: 'new password' })).error).toBeNull()
  })
})

describe('the service role', () => {
  it('creates, reads, changes, lists and deletes users', async () => {
    const email = freshEmail('bob')
    const created = await admin().createUser({
      email,
      password: PASSWORD,
      email_confirm: true,
      app_metadata: { plan: 'pro' },
      user_metadata: { n: 1 },
    })
    expect(created.data.user).toMatchObject({
      app_metadata: { plan: 'pro', provider: 'email' },
      user_metadata: { n: 1 },
    })
    const id = created.data.user?.id ?? ''
    expect((await admin().getUserById(id)).data.user?.email).toBe(email)
    const changed = await admin().updateUserById(id, { user_metadata: { n: 2 }, email: `new-${email}` })
    expect(changed.data.user).toMatchObject({ email: `new-${email}`, user_metadata: { n: 2 } })
    const page = await admin().listUsers({ page: 1, perPage: 1 })
    expect(page.data).toMatchObject({ users: [{ id }], nextPage: 2 })
    expect((await admin().deleteUser(id)).error).toBeNull()
    expect((await admin().getUserById(id)).error).toMatchObject({ code: 'user_not_found', status: 404 })
  })

  it('an admin gets the reason when an address is taken', async () => {
    const { email } = await signUp()
    expect((await admin().createUser({ email })).error).toMatchObject({ code: 'email_exists', status: 422 })
  })

  it('deletes what belongs to a user by foreign key', async () => {
    const { user } = await signUp()
    await admin().deleteUser(user.id)
    const { data } = await client(stack, stack.secretKey).from('notes').select('user_id').eq('user_id', user.id)
    expect(data).toEqual([])
  })

  it('is not what a user or a visitor has', async () => {
    const { supabase } = await signUp()
    expect((await supabase.auth.admin.listUsers()).error).toMatchObject({ code: 'not_admin', status: 403 })
    expect((await anonymous().auth.admin.deleteUser('00000000-0000-0000-0000-000000000001')).error?.status).toBe(403)
  })
})

describe('errors', () => {
  const post = (version: Record<string, string>, body: string) =>
    fetch(`${stack.url}/auth/v1/token?grant_type=password`, {
      method: 'POST',
      headers: { apikey: stack.publishableKey, ...version },
      body,
    })

  it('carry the machine code where the API version of the caller expects it', async () => {
    const current = await post({ 'x-supabase-api-version': '2024-01-01' }, '{"email":"a@b.cc","password":"x"}')
    expect(current.headers.get('x-supabase-api-version')).toBe('2024-01-01')
    expect(await current.json()).toEqual({ code: 'invalid_credentials', message: 'Invalid login credentials' })
    const old = await post({}, '{"email":"a@b.cc","password":"x"}')
    expect(await old.json()).toEqual({ code: 400, error_code: 'invalid_credentials', msg: 'Invalid login credentials' })
  })

  it.each(['{', '[]', '{"email": 1}', 'null'])('answer the body %s with bad_json', async (body) => {
    const response = await post({}, body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error_code: 'bad_json' })
  })
})

describe('the auth server under load', () => {
  it('the auth server answers 503, not 500, when the database has no room, and works again afterwards', async () => {
    const signUps = (count: number) =>
      Promise.all(
        Array.from({ length: count }, () =>
          fetch(`${stack.url}/auth/v1/signup`, {
            method: 'POST',
            headers: { apikey: stack.publishableKey, 'content-type': 'application/json' },
            body: JSON.stringify({ email: freshEmail(), password: PASSWORD }),
          }).then((response) => response.status),
        ),
      )
    const statuses = await withClient(superuser(), async (client) => {
      await client.query('begin')
      await client.query('lock table auth.users in access exclusive mode')
      const answers = signUps(60)
      // Longer than a request waits for a connection of the pool.
      await new Promise((resolve) => setTimeout(resolve, 6_000))
      await client.query('rollback')
      return answers
    })
    expect(statuses).toContain(503)
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(await signUps(1)).toEqual([200])
  })
})
