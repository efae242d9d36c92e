import { createServerClient } from '@supabase/ssr'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Stack } from '../src/index.ts'
import { freshEmail, PASSWORD, testStack } from './support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await testStack()
})
afterAll(() => stack?.stop())

function serverClient(jar: Map<string, string>) {
  return createServerClient(stack.url, stack.publishableKey, {
    cookies: {
      getAll: () => [...jar].map(([name, value]) => ({ name, value })),
      setAll: (cookies) => {
        for (const { name, value } of cookies) value ? jar.set(name, value) : jar.delete(name)
      },
    },
  })
}

it('a server-side client keeps the session in cookies, and the next request reads its claims from them', async () => {
  const jar = new Map<string, string>()
  const email = freshEmail()
  const { error } = await serverClient(jar).auth.signUp({ email, password: PASSWORD })
  expect(error).toBeNull()
  expect([...jar.keys()].some((name) => name.startsWith('sb-127-auth-token'))).toBe(true)
  const { data } = await serverClient(jar).auth.getClaims()
  expect(data?.claims.email).toBe(email)
  const notes = await serverClient(jar).from('notes').select('body')
  expect(notes.data).toEqual([{ body: 'welcome' }])
})
