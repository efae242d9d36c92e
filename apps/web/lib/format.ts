/** A decimal string with its digits grouped. Intl reads the string exactly, so no digit is lost on the way. */
function format(value: string, options: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat('en', options).format(value as Intl.StringNumericLiteral)
}

/** Credits with every digit they have. */
export function formatCredits(value: string): string {
  return format(value, { maximumFractionDigits: 6 })
}

/** Credits with two places, rounded down: never more than there is. */
export function formatCreditsShort(value: string): string {
  return format(value, { maximumFractionDigits: 2, roundingMode: 'floor' })
}

/** A change of the balance, with its sign. */
export function formatChange(value: string): string {
  return format(value, { maximumFractionDigits: 6, signDisplay: 'exceptZero' })
}

/** US dollars. */
export function formatUsd(value: string): string {
  return format(value, { style: 'currency', currency: 'USD', minimumFractionDigits: 0 })
}

/** US dollars as a report has them: cents from a hundred dollars on, hundredths of a cent below. */
export function formatMoney(value: string): string {
  const digits = /^-?\d{3}/.test(value) ? 2 : 4
  return format(value, {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** A percentage. */
export function formatShare(value: string, signDisplay: 'auto' | 'exceptZero' = 'auto'): string {
  return `${format(value, { maximumFractionDigits: 1, signDisplay })} %`
}

/** A whole number. */
export function formatCount(value: number): string {
  return new Intl.NumberFormat('en').format(value)
}

/** A moment in the reader's time zone. */
export function formatTime(iso: string): string {
  return new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(iso))
}
