import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { codeOf } from '../../__tests__/kit/models.ts'
import { CreditError } from './errors.ts'
import {
  add,
  canonical,
  compare,
  creditsOfUsd,
  creditsSchema,
  isZero,
  max,
  min,
  mul,
  parseOrThrow,
  percentSchema,
  round,
  signedCreditsSchema,
  sub,
  sum,
  usdOfCredits,
  usdSchema,
} from './money.ts'

// The oracle: integers of 10^-places, written down without the library that src/core calculates with.
interface Scaled {
  units: bigint
  places: number
}
const decimal = fc.record({ units: fc.bigInt(-(10n ** 20n), 10n ** 20n), places: fc.nat(12) })

function text({ units, places }: Scaled): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, '0')
  const point = digits.length - places
  const written = places === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`.replace(/\.?0+$/, '')
  return units < 0n ? `-${written}` : written
}

function scaled({ units, places }: Scaled, to: number): bigint {
  return units * 10n ** BigInt(to - places)
}

function rounded({ units, places }: Scaled, to: number, mode: 'half-up' | 'up' | 'down'): Scaled {
  if (places <= to) return { units, places }
  const divisor = 10n ** BigInt(places - to)
  const rest = ((units % divisor) + divisor) % divisor
  const below = (units - rest) / divisor
  const half = units < 0n ? 2n * rest > divisor : 2n * rest >= divisor
  const up = mode === 'up' ? rest > 0n : mode === 'half-up' && half
  return { units: up ? below + 1n : below, places: to }
}

describe('decimal strings', () => {
  it('add, subtract, multiply, compare and round as integers do', () => {
    fc.assert(
      fc.property(decimal, decimal, (x, y) => {
        const [a, b] = [text(x), text(y)]
        const places = Math.max(x.places, y.places)
        const [left, right] = [scaled(x, places), scaled(y, places)]
        expect(add(a, b)).toBe(text({ units: left + right, places }))
        expect(sub(a, b)).toBe(text({ units: left - right, places }))
        expect(mul(a, b)).toBe(text({ units: x.units * y.units, places: x.places + y.places }))
        expect(compare(a, b)).toBe(left < right ? -1 : left > right ? 1 : 0)
        expect(min(a, b)).toBe(left < right ? a : b)
        expect(max(a, b)).toBe(left < right ? b : a)
        for (const mode of ['half-up', 'up', 'down'] as const) {
          expect(round(a, 6, mode)).toBe(text(rounded(x, 6, mode)))
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('have one canonical spelling and never a negative zero', () => {
    expect(canonical('1.500000')).toBe('1.5')
    expect(canonical('100')).toBe('100')
    expect(canonical('-0.000')).toBe('0')
    expect(sub('0.3', '0.3')).toBe('0')
    expect(isZero('-0.0')).toBe(true)
    expect(sum([])).toBe('0')
    expect(sum(['0.1', '0.2', '-0.05'])).toBe('0.25')
  })
})

describe('amounts from outside', () => {
  const poison = [
    'NaN',
    'Infinity',
    '-Infinity',
    '1e5',
    '1E5',
    '0x10',
    '',
    ' ',
    ' 1',
    '1 ',
    '1\n',
    '+1',
    '.5',
    '5.',
    '01',
    '1,5',
    '1_000',
    '１２',
    '٣',
    '1.0000001',
    '100000000000000',
    '--1',
    '1.2.3',
    'null',
    1,
    1n,
    true,
    null,
    undefined,
    {},
    ['1'],
  ]

  it.each(poison.map((value) => [`${typeof value} <${String(value)}>`, value] as const))(
    'refuse %s as credits, with the path',
    (_, value) => {
      for (const schema of [creditsSchema, signedCreditsSchema]) expect(schema.safeParse(value).success).toBe(false)
      const run = () => parseOrThrow(z.object({ amounts: z.array(creditsSchema) }), { amounts: ['1', value] }, 'body')
      expect(codeOf(run)).toBe('INVALID_INPUT')
      expect(run).toThrow(/^body\.amounts\[1\]: /)
    },
  )

  it('are given back in canonical form', () => {
    expect(creditsSchema.parse('12.340000')).toBe('12.34')
    expect(creditsSchema.parse('99999999999999.999999')).toBe('99999999999999.999999')
    expect(signedCreditsSchema.parse('-4.0')).toBe('-4')
    expect(creditsSchema.safeParse('-0.000001').success).toBe(false)
    expect(usdSchema.parse('0.000000000001')).toBe('0.000000000001')
    for (const bad of ['-1', '0.0000000000001', '1000000000000', '1e-7'])
      expect(usdSchema.safeParse(bad).success).toBe(false)
  })

  it('keep a margin above -100 and at most 10000 percent, to 4 places', () => {
    for (const good of ['60', '0', '-99.9999', '10000', '12.5'])
      expect(percentSchema.safeParse(good).success).toBe(true)
    for (const bad of ['-100', '-100.0001', '10000.0001', '1.00001', '1e2', 60, '']) {
      expect(percentSchema.safeParse(bad).success).toBe(false)
    }
  })
})

describe('the longest decimal strings', () => {
  const longest = `${'9'.repeat(28)}.${'9'.repeat(40)}`

  it('multiply without a lost digit and without an exponent', () => {
    const units = 10n ** 68n - 1n
    expect(mul(longest, longest)).toBe(text({ units: units * units, places: 80 }))
    expect(add(longest, `0.${'0'.repeat(39)}1`)).toBe(`1${'0'.repeat(28)}`)
    expect(mul(`0.${'0'.repeat(39)}1`, '1')).toBe(`0.${'0'.repeat(39)}1`)
  })
})

describe('credits of a cost', () => {
  it('are the cost times (100 + margin): USD 0.021 at 60 % is 3.36', () => {
    expect(creditsOfUsd({ costUsd: '0.021', marginPercent: '0' }).credits).toBe('2.1')
    expect(creditsOfUsd({ costUsd: '0.021', marginPercent: '60' })).toEqual({
      credits: '3.36',
      exactCredits: '3.36',
      rounding: 'none',
    })
  })

  it('are rounded half up at the sixth place, up for estimates, and never to nothing', () => {
    const at = (costUsd: string, mode?: 'up') => creditsOfUsd({ costUsd, marginPercent: '0', mode })
    expect(at('0.000000014999')).toMatchObject({ credits: '0.000001', rounding: 'half-up' })
    expect(at('0.000000015')).toMatchObject({ credits: '0.000002', rounding: 'half-up' })
    expect(at('0.000000010001', 'up')).toMatchObject({ credits: '0.000002', rounding: 'up' })
    expect(at('0.000000000001')).toMatchObject({
      credits: '0.000001',
      exactCredits: '0.0000000001',
      rounding: 'minimum',
    })
    expect(at('0')).toMatchObject({ credits: '0', rounding: 'none' })
  })

  it('come from a cost that usdOfCredits finds again', () => {
    expect(usdOfCredits({ credits: '3.36', marginPercent: '60' })).toBe('0.021')
    expect(usdOfCredits({ credits: '1', marginPercent: '200' })).toBe('0.003333333333')
    expect(codeOf(() => usdOfCredits({ credits: '1', marginPercent: '-100' }))).toBe('INVALID_INPUT')
  })

  it('refuse a cost that is negative or no decimal', () => {
    for (const costUsd of ['-0.01', '1e-7', 'NaN', '', 5 as unknown as string]) {
      expect(codeOf(() => creditsOfUsd({ costUsd, marginPercent: '60' }))).toBe('INVALID_INPUT')
    }
    expect(CreditError.isInstance(new CreditError({ code: 'INVALID_INPUT' }))).toBe(true)
  })
})
