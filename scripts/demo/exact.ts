/**
 * The demo's own arithmetic, apart from the library's on purpose: charges are recomputed here from usage,
 * price list and margin, and must come out the same. Rational numbers over BigInt, nothing else.
 */
const SCALE = 30n
const ONE = 10n ** SCALE

/** A decimal string (exponent allowed) as an integer of 1e-30. */
export function exact(decimal: string | number): bigint {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(String(decimal))
  if (!match) throw new Error(`not a decimal: ${decimal}`)
  const [, sign, whole = '0', fraction = '', exponent = '0'] = match
  const shift = SCALE - BigInt(fraction.length) + BigInt(exponent)
  if (shift < 0n) throw new Error(`too many places: ${decimal}`)
  const value = BigInt(whole + fraction) * 10n ** shift
  return sign ? -value : value
}

/** Back to a canonical decimal string. */
export function decimal(value: bigint): string {
  const sign = value < 0n ? '-' : ''
  const digits = (value < 0n ? -value : value).toString().padStart(Number(SCALE) + 1, '0')
  const fraction = digits.slice(-Number(SCALE)).replace(/0+$/, '')
  return `${sign}${digits.slice(0, -Number(SCALE))}${fraction && `.${fraction}`}`
}

/** Credits of a cost in USD (as `exact` gives it) under a margin, rounded half up to 6 places. */
export function creditsOf(usd: bigint, marginPercent: string): bigint {
  const credits = (usd * (100n * ONE + exact(marginPercent))) / ONE
  const unit = 10n ** (SCALE - 6n)
  return ((credits + unit / 2n) / unit) * unit
}
