import { describe, expect, it } from 'vitest'
import { root } from './lib/paths.ts'
import { findAll, findIn, report } from './tidy/find.ts'
import { bannedWords } from './tidy/words.ts'

const words = (line: string, file = 'docs/x.md') => bannedWords(file, line).map(({ word }) => word)

describe('tidy', () => {
  it('the repository uses its own vocabulary and stays within its columns and lengths', () => {
    expect(report(findAll(root))).toBe('')
  })

  it('a banned word is found in prose, in camelCase, in snake_case and in capitals', () => {
    expect(words('Credits HELD by heldAmount, held_amount or held.')).toEqual(['held', 'held', 'held', 'held'])
  })

  it('a word that only contains a banned word is left alone', () => {
    expect(words('background, household, threshold, placeholder, discourse, bookshelf')).toEqual([])
  })

  it('allowed phrases are left alone, the same word elsewhere is found', () => {
    expect(words('as soon as the lock is held')).toEqual([])
    expect(words('soon, the credits are held')).toEqual(['soon', 'held'])
    expect(words('receipt.booked; { booked, closed }; `booked`')).toEqual([])
    expect(words('the charge is booked')).toEqual(['booked'])
  })

  it('a word that one file needs is allowed there and nowhere else', () => {
    expect(words('Report attacks here.', 'SECURITY.md')).toEqual([])
    expect(words('Report attacks here.', 'README.md')).toEqual(['attacks'])
  })

  it('a TypeScript line over 120 columns and a SQL line over 100 columns are found', () => {
    const found = (file: string, columns: number) => findIn(file, 'x'.repeat(columns)).map(({ rule }) => rule)
    expect(found('a.ts', 120)).toEqual([])
    expect(found('a.ts', 121)).toEqual(['columns'])
    expect(found('a.sql', 100)).toEqual([])
    expect(found('a.sql', 101)).toEqual(['columns'])
    expect(found('a.md', 500)).toEqual([])
  })

  it('a SQL function of 71 lines is found with its name and its first line, one of 70 lines is not', () => {
    const create = (lines: number) =>
      ['create function public.f()', 'returns void as $$', ...Array(lines - 3).fill('  select 1;'), '$$;'].join('\n')
    expect(findIn('a.sql', `-- first\n${create(70)}`)).toEqual([])
    expect(findIn('a.sql', `-- first\n${create(71)}\n${create(5)}`)).toMatchObject([
      { rule: 'function', line: 2, message: 'public.f: 71 lines, at most 70' },
    ])
  })

  it('a one-letter row or variable in a migration is found', () => {
    const found = (text: string) => findIn('supabase/migrations/20261101000100_credits_0001_x.sql', text)
    expect(found('from public.credit_lots l')).toHaveLength(1)
    expect(found('  r public.credit_reservations;')).toHaveLength(1)
    expect(found('from public.credit_lots lot')).toEqual([])
    expect(found('-- join of a and b')).toEqual([])
  })
})
