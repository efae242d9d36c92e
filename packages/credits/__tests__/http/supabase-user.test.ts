import { expect, test } from 'vitest'
import { supabaseUser } from '../../src/http/index.ts'

type Answer = { data: { user: { id: string; email?: string } | null }; error: { name: string; status?: number } | null }

function client(
  answer: Answer,
  role: { data: unknown; error: { message: string } | null } = { data: null, error: null },
) {
  return {
    auth: { getUser: async () => answer },
    from: () => ({ select: () => ({ eq: () => ({ maybeSingle: async () => role }) }) }),
  }
}
const ada: Answer = { data: { user: { id: 'u1', email: 'ada@example.com' } }, error: null }
const request = (headers: Record<string, string> = {}) => new Request('https://app.example/', { headers })

test('a cookie session and a bearer token are told apart by the Authorization header alone', async () => {
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
  '%s signs nobody in, whatever the cookies say',
  async (authorization) => {
    const getUser = supabaseUser({ createClient: () => client(ada) })
    expect(await getUser(request({ authorization, cookie: 'sb-x-auth-token=1' }))).toBeNull()
  },
)

test('a refused session is nobody; an auth server that is away is a 503, not a sign-out', async () => {
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

test('only the role in the database makes an admin, and a database that is away makes nobody one', async () => {
  const isAdmin = async (role: { data: unknown; error: { message: string } | null }) => {
    const user = await supabaseUser({ createClient: () => client(ada, role) })(request())
    return typeof user?.isAdmin === 'function' ? user.isAdmin() : user?.isAdmin
  }
  expect(await isAdmin({ data: { role: 'admin' }, error: null })).toBe(true)
  expect(await isAdmin({ data: { role: 'user' }, error: null })).toBe(false)
  expect(await isAdmin({ data: null, error: null })).toBe(false)
  await expect(isAdmin({ data: null, error: { message: 'down' } })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
