import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Session } from '../../../../scripts/demo/session.ts'
import type { TestUser } from '../kit/stack.ts'
import { createTestApp, send, type TestApp } from '../kit/web.ts'

const PATH = '/api/admin/credits/margins'
const MODEL = 'anthropic/claude-sonnet-4.5'

interface Margins {
  default: { marginPercent: string; version: number }
  overrides: { scope: string; target: string; marginPercent: string }[]
}

describe('admin-margin-api', () => {
  let test: TestApp
  let person: TestUser
  let admin: Session
  beforeAll(async () => {
    test = await createTestApp()
    person = await test.createAdmin()
    admin = await test.signedIn(person)
  })
  afterAll(() => test?.stop())

  const margins = async () => (await (await send(admin, 'GET', PATH)).json()) as Margins

  it('an admin reads the margins and changes the default', async () => {
    const before = await margins()
    expect(before.default.marginPercent).toBe('60')
    const changed = await send(admin, 'PUT', PATH, { marginPercent: '75.5', expectedVersion: before.default.version })
    expect(changed.status).toBe(200)
    expect((await margins()).default.marginPercent).toBe('75.5')
    const stale = await send(admin, 'PUT', PATH, { marginPercent: '80', expectedVersion: before.default.version })
    expect([stale.status, (await stale.json()).code]).toEqual([409, 'VERSION_CONFLICT'])
  })

  it('an admin sets and removes the margin of a model whose id contains a slash', async () => {
    for (const path of [`${PATH}/${MODEL}`, `${PATH}/${encodeURIComponent(MODEL)}`]) {
      expect((await send(admin, 'PUT', path, { marginPercent: '20' })).status).toBe(200)
      expect((await margins()).overrides).toMatchObject([{ scope: 'model', target: MODEL, marginPercent: '20' }])
      expect((await send(admin, 'DELETE', path)).status).toBe(200)
      expect((await margins()).overrides).toEqual([])
    }
  })

  it('every change is in margin_audit_log, whichever way it was made', async () => {
    const log = () =>
      test.sql<{
        target: string
        old: string | null
        new: string | null
        actor_id: string | null
        reason: string | null
      }>(
        `select target, old_margin_percent::float::text as old, new_margin_percent::float::text as new, actor_id, reason
         from public.margin_audit_log order by id`,
      )
    const before = (await log()).length
    await send(admin, 'PUT', `${PATH}/openai/gpt-5`, { marginPercent: '1', reason: 'over HTTP' })
    await test.service.rpc('credits_set_margin', { p_scope: 'model', p_target: 'a/rpc', p_margin_percent: '2' })
    await test.sql(
      `insert into public.margin_config (scope, target, margin_percent, version) values ('model', 'a/sql', 3, 1)`,
    )
    const rows = (await log()).slice(before)
    expect(rows).toMatchObject([
      { target: 'openai/gpt-5', old: null, new: '1', actor_id: person.id, reason: 'over HTTP' },
      { target: 'a/rpc', old: null, new: '2' },
      { target: 'a/sql', old: null, new: '3' },
    ])
    await expect(test.sql('delete from public.margin_audit_log')).rejects.toThrow()
  })

  it('anyone else is refused and nothing changes', async () => {
    const before = await margins()
    const user = await test.signedIn(await test.createUser())
    const calls: [string, string][] = [
      ['GET', PATH],
      ['PUT', PATH],
      ['PUT', `${PATH}/${MODEL}`],
      ['DELETE', `${PATH}/${MODEL}`],
    ]
    for (const [method, path] of calls) {
      const body = method === 'PUT' ? { marginPercent: '0' } : undefined
      expect((await send(user, method, path, body)).status).toBe(403)
      expect((await send(test.browser(), method, path, body)).status).toBe(401)
    }
    expect(await margins()).toMatchObject({ default: before.default, overrides: before.overrides })
  })
})
