import { describe, expect, it } from 'vitest'
import { slot } from './slot.ts'

describe('a slot', () => {
  it('keeps a value with its object, frozen ones and proxies too, and replaces it', () => {
    const { get, set } = slot<string>()
    for (const object of [{ a: 1 }, Object.freeze({ a: 1 }), new Proxy({ a: 1 }, {}), [], () => undefined]) {
      expect(get(object)).toBeUndefined()
      set(object, 'first')
      set(object, 'second')
      expect(get(object)).toBe('second')
    }
  })

  it('is seen by nobody else: not by a copy, not by another slot, not by those who list the object', () => {
    const [mine, other] = [slot<number>(), slot<number>()]
    const object = { a: 1 }
    mine.set(object, 7)
    expect(other.get(object)).toBeUndefined()
    expect(mine.get({ ...object })).toBeUndefined()
    expect(mine.get(structuredClone(object))).toBeUndefined()
    expect(mine.get(Object.create(object))).toBeUndefined()
    expect(Reflect.ownKeys(object)).toEqual(['a'])
    expect(object).toStrictEqual({ a: 1 })
  })

  it('stays when the object is frozen later', () => {
    const { get, set } = slot<number>()
    const object = { a: 1 }
    set(object, 1)
    Object.freeze(object)
    set(object, 2)
    expect(get(object)).toBe(2)
  })
})
