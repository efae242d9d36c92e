import { expect, test } from 'vitest'
import { supabaseUser } from '../../src/http/index.ts'

type Answer = { data: { user: { id: string; email?: string } | null }; error: { name: string; status?: number } | null }

function client(
  answer: Answer,
  row: { data: unknown; error: { message: string } | null } = { data: null, error: null },
) {
  return {
    auth: { getUser: async () => answer },
    from: (table: string) => ({
      select: () => ({
        maybeSingle: async () => (table === 'credit_session' ? row : { data: null, error: null }),
      }),
    }),
  }
}
const ada: Answer = { data: { user: { id: 'u1', email: 'ada@example.com' } }, error: null }
const request = (headers: Record<string, string> = {}) => new Request('https://app.example/', { headers })

test('the Authorization header alone decides between a bearer token and the session cookies', async () => {
  const tokens: (string | null)[] = []
  const getUser = supabaseUser({
    createClient: (token) => {
      tokens.push(token)
      return client(ada)
    },
  })
  expect(await getUser(request({ cookie: 'sb-x-auth-token=1' }))).toMatchObject({ id: 'u1', email: 'ada@example.com' })
  await getUser(request({ authorization: 'Bearer abc.def.ghi', cookie: 'sb-x-auth-token=1' }))
  expect(tokens).toEqual([null, 'abc.def.ghi'])
})

test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer a b', 'abc'])(
  'the Authorization header "%s" is no session, even beside good cookies',
  async (authorization) => {
    const getUser = supabaseUser({ createClient: () => client(ada) })
    expect(await getUser(request({ authorization, cookie: 'sb-x-auth-token=1' }))).toBeNull()
  },
)

test('a refused session has no user; an auth server that is away is a 503, not a sign-out', async () => {
  const answer = (error: Answer['error']) =>
    supabaseUser({ createClient: () => client({ data: { user: null }, error }) })(request())
  expect(await answer({ name: 'AuthSessionMissingError', status: 400 })).toBeNull()
  expect(await answer({ name: 'AuthApiError', status: 403 })).toBeNull()
  for (const error of [
    { name: 'AuthRetryableFetchError', status: 0 },
    { name: 'AuthApiError', status: 502 },
    { name: 'AuthApiError', status: 429 },
  ]) {
    await expect(answer(error)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  }
})

type Row = { data: unknown; error: { message: string } | null }

test('by default the view credit_session makes an admin, and a database that is away makes none', async () => {
  const isAdmin = async (row: Row) => {
    const user = await supabaseUser({ createClient: () => client(ada, row) })(request())
    return typeof user?.isAdmin === 'function' ? user.isAdmin() : user?.isAdmin
  }
  expect(await isAdmin({ data: { user_id: 'u1', is_admin: true }, error: null })).toBe(true)
  expect(await isAdmin({ data: { user_id: 'u1', is_admin: false }, error: null })).toBe(false)
  expect(await isAdmin({ data: { user_id: 'u2', is_admin: true }, error: null })).toBe(false)
  expect(await isAdmin({ data: null, error: null })).toBe(false)
  await expect(isAdmin({ data: null, error: { message: 'down' } })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test('an isAdmin of the app replaces the default and gets the client and the id of the user', async () => {
  const asked: string[] = []
  const getUser = supabaseUser({
    createClient: () => ({ ...client(ada), name: 'session client' }),
    isAdmin: ({ client: { name }, userId }) => {
      asked.push(`${name} ${userId}`)
      return true
    },
  })
  const user = await getUser(request())
  expect(asked).toEqual([])
  expect(typeof user?.isAdmin === 'function' && (await user.isAdmin())).toBe(true)
  expect(asked).toEqual(['session client u1'])
})
