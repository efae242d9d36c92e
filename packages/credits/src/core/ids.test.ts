import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { accountSlot, uuidFor, uuidv7 } from './ids.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const ACCOUNT = '0B64F03D-9A30-4A92-8C4A-5D8F2C1E7A11'

/** The first three hex digits of the hash, as the SQL of a router computes them. */
const slotOf = (accountId: string) => createHash('sha256').update(accountId.toLowerCase()).digest('hex').slice(0, 3)

describe('uuidFor', () => {
  it('makes the same version 8 UUID for the same operation, account and key, from their SHA-256', async () => {
    const id = await uuidFor('reserve', 'user', 'key')
    expect(UUID.exec(id)?.[1]).toBe('8')
    expect(await uuidFor('reserve', 'user', 'key')).toBe(id)
    const digest = createHash('sha256').update('7:4:3:reserveuserkey').digest('hex')
    expect(id.slice(0, 13)).toBe(`${digest.slice(0, 8)}-${digest.slice(8, 12)}`)
    expect(id.slice(-12)).toBe(digest.slice(20, 32))
  })

  it('makes different ids for parts that are equal when they are joined', async () => {
    const ids = await Promise.all([
      uuidFor('a', 'bc'),
      uuidFor('ab', 'c'),
      uuidFor('abc', ''),
      uuidFor('a', 'bc', ''),
      uuidFor('1:a', ''),
      uuidFor('a', 'b', 'c'),
    ])
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('uuidv7', () => {
  it('starts with the time in milliseconds and is random after the account slot', async () => {
    const now = Date.UTC(2026, 10, 24, 2, 0, 0, 123)
    const ids = await Promise.all(Array.from({ length: 1000 }, () => uuidv7({ accountId: ACCOUNT, now })))
    expect(new Set(ids).size).toBe(1000)
    for (const id of ids) {
      expect(UUID.exec(id)?.[1]).toBe('7')
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now)
    }
  })

  it('sorts by time', async () => {
    const at = (now: number) => uuidv7({ accountId: ACCOUNT, now })
    const ids = [await at(1), await at(2), await at(Date.now())]
    expect(ids.toSorted()).toEqual(ids)
  })
})

describe('the account slot', () => {
  it('is the first 12 bits of the SHA-256 of the account id in lower case', async () => {
    expect((await accountSlot(ACCOUNT)).toString(16).padStart(3, '0')).toBe(slotOf(ACCOUNT))
    expect(await accountSlot(ACCOUNT.toLowerCase())).toBe(await accountSlot(ACCOUNT))
  })

  it('stands after the version digit of every id of the account', async () => {
    for (const id of [await uuidv7({ accountId: ACCOUNT }), await uuidFor('reserve', ACCOUNT, 'key')]) {
      expect(UUID.exec(id)?.[2]).toBe(slotOf(ACCOUNT))
    }
  })

  it('spreads accounts over all 4096 slots', async () => {
    const slots = await Promise.all(Array.from({ length: 40_000 }, () => accountSlot(crypto.randomUUID())))
    expect(new Set(slots).size).toBeGreaterThan(4_000)
    expect(Math.max(...slots)).toBeLessThan(4_096)
  })
})
