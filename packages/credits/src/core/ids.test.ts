import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { uuidFor, uuidv7 } from './ids.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('uuidFor', () => {
  it('gives the same version 8 UUID for the same parts, from their SHA-256', async () => {
    const id = await uuidFor('reserve', 'user', 'key')
    expect(UUID.exec(id)?.[1]).toBe('8')
    expect(await uuidFor('reserve', 'user', 'key')).toBe(id)
    const digest = createHash('sha256').update('7:4:3:reserveuserkey').digest('hex')
    expect(id.slice(0, 13)).toBe(`${digest.slice(0, 8)}-${digest.slice(8, 12)}`)
    expect(id.slice(-12)).toBe(digest.slice(20, 32))
  })

  it('tells apart parts that run together', async () => {
    const ids = await Promise.all([
      uuidFor('a', 'bc'),
      uuidFor('ab', 'c'),
      uuidFor('abc'),
      uuidFor('a', 'bc', ''),
      uuidFor('1:a'),
    ])
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('uuidv7', () => {
  it('starts with the time in milliseconds and is otherwise random', () => {
    const now = Date.UTC(2026, 10, 24, 2, 0, 0, 123)
    const ids = Array.from({ length: 1000 }, () => uuidv7(now))
    expect(new Set(ids).size).toBe(1000)
    for (const id of ids) {
      expect(UUID.exec(id)?.[1]).toBe('7')
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now)
    }
  })

  it('sorts by time', () => {
    expect(uuidv7(1) < uuidv7(2) && uuidv7(2) < uuidv7(Date.now())).toBe(true)
  })
})
