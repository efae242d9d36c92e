import { describe, expect, it } from 'vitest'
import { environment } from './doctor.ts'

const states = (env: NodeJS.ProcessEnv) => Object.fromEntries(environment(env).map(({ name, state }) => [name, state]))
const jwt = (role: string) => ['eyJhbGciOiJIUzI1NiJ9', btoa(JSON.stringify({ role })), 'signature'].join('.')

describe('doctor, environment', () => {
  it('a secret key under a public name fails, in the new form and in the old', () => {
    expect(states({ NEXT_PUBLIC_KEY: 'sb_secret_abc' })['secret keys']).toBe('fail')
    expect(states({ NEXT_PUBLIC_KEY: jwt('service_role') })['secret keys']).toBe('fail')
  })

  it('a public key under a public name is fine', () => {
    expect(states({ NEXT_PUBLIC_KEY: 'sb_publishable_abc', NEXT_PUBLIC_OLD: jwt('anon') })['secret keys']).toBe('ok')
  })

  it('a key that is not set is only a warning: the direct adapter does without', () => {
    expect(states({}).SUPABASE_SECRET_KEY).toBe('warn')
  })

  it('a publishable key in the place of the secret key fails, in both forms', () => {
    expect(states({ SUPABASE_SECRET_KEY: 'sb_publishable_abc' }).SUPABASE_SECRET_KEY).toBe('fail')
    expect(states({ SUPABASE_SECRET_KEY: jwt('anon') }).SUPABASE_SECRET_KEY).toBe('fail')
    expect(states({ SUPABASE_SECRET_KEY: 'sb_secret_abc' }).SUPABASE_SECRET_KEY).toBe('ok')
  })
})
