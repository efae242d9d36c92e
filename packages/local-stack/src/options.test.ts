import { afterEach, describe, expect, it, vi } from 'vitest'
import { resolveOptions } from './options.ts'

describe('the options of a stack', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  it('are the ports of the Supabase CLI by default', () => {
    expect(resolveOptions({})).toMatchObject({ port: 54321, dbPort: 54322, ephemeral: false })
  })

  it('put the database on the next port, or on a free one', () => {
    expect(resolveOptions({ port: 55_000 })).toMatchObject({ port: 55_000, dbPort: 55_001 })
    expect(resolveOptions({ ephemeral: true })).toMatchObject({ port: 0, dbPort: 0 })
  })

  it.each([Number.NaN, -1, 1.5, 65_536])('refuse the port %d', (port) => {
    expect(() => resolveOptions({ port })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('are refused altogether in production', () => {
    vi.stubEnv('NODE_ENV', 'production')
    expect(() => resolveOptions({})).toThrow(expect.objectContaining({ code: 'PRODUCTION_REFUSED' }))
  })
})
