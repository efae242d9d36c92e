import { createHash } from 'node:crypto'

/** A reproducible random source: the same seed gives the same scenario. */
export interface Random {
  readonly seed: string
  /** 0 <= x < 1. */
  next(): number
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
  /** One of the items. */
  pick<Item>(items: readonly Item[]): Item
  /** True with this probability. */
  chance(probability: number): boolean
  /** A version 4 UUID. */
  uuid(): string
  /** A 32-bit number, for a library that wants a seed of its own. */
  integer(): number
  /** An independent source for one worker, so that interleaving does not change what each one does. */
  fork(name: string | number): Random
}

/**
 * Mulberry32, seeded by a hash of the text.
 *
 * @example
 * const random = seeded('1234:A6')
 * random.pick(['reserve', 'settle'])
 */
export function seeded(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0)
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1))
  const hex = (digits: number): string => Array.from({ length: digits }, () => between(0, 15).toString(16)).join('')
  return {
    seed,
    next,
    between,
    pick: <Item>(items: readonly Item[]): Item => {
      const item = items[between(0, items.length - 1)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
    chance: (probability) => next() < probability,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[between(0, 3)]}${hex(3)}-${hex(12)}`,
    integer: () => between(0, 0x7fffffff),
    fork: (name) => seeded(`${seed}/${name}`),
  }
}
