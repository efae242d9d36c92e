import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCredits } from '../../src/index.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { createTestStack, type TestStack } from '../kit/stack.ts'

describe('credits-package', () => {
  let test: TestStack
  beforeAll(async () => {
    test = await createTestStack()
  })
  afterAll(() => test?.stop())

  it('balance, reserve, settle, release and history work through a supabase-js client', async () => {
    const credits = createCredits({ store: supabaseStore(test.service) })
    const { id: userId } = await test.createUser()
    expect((await credits.getBalance({ userId })).available).toBe('50')
    const first = await credits.reserve({ userId, amount: '10', feature: 'chat' })
    expect(first.balance.available).toBe('40')
    const settled = await credits.settle({ userId, reservationId: first.reservationId, amount: '7.5' })
    expect([settled.state, settled.balance.available]).toEqual(['settled', '42.5'])
    const second = await credits.reserve({ userId, amount: '10' })
    const released = await credits.release({ userId, reservationId: second.reservationId })
    expect([released.state, released.balance.available]).toEqual(['released', '42.5'])
    const { data } = await credits.getHistory({ userId })
    expect(data.map(({ type, amount }) => [type, amount])).toEqual([
      ['usage', '-7.5'],
      ['grant', '50'],
    ])
  })

  it('the built package exports the core operations with their types', async () => {
    const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
    expect(existsSync(`${dist}index.js`), 'run `node scripts/bootstrap.mjs` first: the package is not built').toBe(true)
    const built = (await import(`${dist}index.js`)) as Record<string, unknown>
    const operations = ['createCredits', 'calculateCredits', 'reserve', 'settle', 'release', 'CreditError']
    expect(operations.filter((name) => typeof built[name] !== 'function')).toEqual([])
    const files = ['types', 'operation-types'].map((name) => readFileSync(`${dist}credits/${name}.d.ts`, 'utf8'))
    const types = files.join('')
    for (const name of ['ReserveInput', 'SettleInput', 'HistoryInput', 'Credits'])
      expect(types).toContain(`interface ${name}`)
    expect(Object.keys((await import(`${dist}ai/index.js`)) as object)).toContain('withCredits')
  })
})
