import { CreditError } from '../../packages/credits/src/core/errors.ts'
import type { ChargeRecord } from '../../packages/credits/src/store/port.ts'

/** What came of a call: a value, or the code with which it was refused. */
export type Answer<Value> = { ok: true; value: Value } | { ok: false; code: string; error: unknown }

/** Turns a refusal into an answer. */
export async function attempt<Value>(call: () => Promise<Value>): Promise<Answer<Value>> {
  try {
    return { ok: true, value: await call() }
  } catch (error) {
    return { ok: false, code: codeOf(error), error }
  }
}

/** The code of the library, else the SQLSTATE, else the class of the error. */
export function codeOf(error: unknown): string {
  if (CreditError.isInstance(error)) {
    const cause = (error.cause as { code?: unknown } | undefined)?.code
    // An INTERNAL is always a finding; its SQLSTATE says which.
    return error.code === 'INTERNAL' && typeof cause === 'string' ? `INTERNAL ${cause}` : error.code
  }
  const { code, name } = error as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : String(name)
}

// 55P03: a statement that did not get its lock, on a connection without a store around it.
const REPEATABLE = new Set(['STORE_BUSY', 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN', '55P03'])

/**
 * Repeats a call, unchanged, for as long as its refusal allows it.
 *
 * @param attempts enough to outlive the fault of the scenario
 */
export async function retryUntilAnswered<Value>(call: () => Promise<Value>, attempts = 50): Promise<Answer<Value>> {
  for (let count = 1; ; count += 1) {
    const answer = await attempt(call)
    if (answer.ok || !REPEATABLE.has(answer.code) || count >= attempts) return answer
    await sleep(Math.min(10 * count, 200))
  }
}

/** How often each result came: `ok`, or the code of the refusal. */
export function countBy(answers: readonly Answer<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) {
    const key = answer.ok ? 'ok' : answer.code
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

/** A charge of an amount about which nothing else is known. */
export function chargeOf(amount: string, more: Partial<ChargeRecord> = {}): ChargeRecord {
  return {
    amount,
    costUsd: '0.01',
    marginPercent: '60',
    costSource: 'manual',
    computedCostUsd: null,
    reportedCostUsd: null,
    model: null,
    servedModel: null,
    feature: null,
    usage: null,
    inputTokens: null,
    outputTokens: null,
    rateId: null,
    marginId: null,
    pricing: null,
    generationId: null,
    provider: null,
    flags: [],
    rawUsage: null,
    metadata: {},
    ...more,
  }
}

/** Credits as whole millionths, exact. */
export function millionths(amount: string): bigint {
  const [, sign, whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(amount) ?? []
  if (sign === undefined) throw new RangeError(`not an amount of credits: ${amount}`)
  const value = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  return sign === '-' ? -value : value
}

/** The canonical text of millionths. */
export function amountOf(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(7, '0')
  const text = `${digits.slice(0, -6)}.${digits.slice(-6)}`.replace(/\.?0+$/, '')
  return value < 0n ? `-${text}` : text
}

/** Waits. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
