import { CreditError } from '../errors.ts'
import { compare, creditsOfUsd } from '../money.ts'
import { recomputeCharge } from './charge.ts'
import type { UsageInput } from './normalize-usage.ts'

/** The parts of a stored charge that it can be recomputed from. */
export interface VerifiableCharge {
  /** Credits: what was charged and what could not be collected, together. */
  readonly amount: string
  readonly costUsd: string
  readonly marginPercent: string | null
  readonly costSource: string
  readonly computedCostUsd: string | null
  readonly usage: UsageInput | null
  readonly pricing: unknown
}

/** `unverifiable`: there is nothing to recompute an amount from that was set by hand. */
export type ChargeVerdict =
  | { verdict: 'ok' | 'unverifiable' }
  | { verdict: 'wrong'; field: 'amount' | 'costUsd' | 'computedCostUsd' | 'pricing'; stored: string; expected: string }

const same = (a: string, b: string) => compare(a, b) === 0

/**
 * Recomputes a stored charge from its own row: usage x prices = computed cost, cost x margin = credits.
 * No rate, margin or clock of today is consulted.
 *
 * @example verifyCharge(row).verdict === 'ok'
 */
export function verifyCharge(row: VerifiableCharge): ChargeVerdict {
  const { amount, costUsd, marginPercent, costSource, computedCostUsd, usage, pricing } = row
  try {
    if (usage !== null && pricing !== null && pricing !== undefined) {
      const again = recomputeCharge({ usage, pricing })
      if (computedCostUsd !== null && !same(again.costUsd, computedCostUsd)) {
        return { verdict: 'wrong', field: 'computedCostUsd', stored: computedCostUsd, expected: again.costUsd }
      }
      if (costSource === 'rate') {
        if (!same(again.costUsd, costUsd)) {
          return { verdict: 'wrong', field: 'costUsd', stored: costUsd, expected: again.costUsd }
        }
        return verdictOn(amount, again.credits)
      }
    } else if (costSource === 'rate') {
      return { verdict: 'wrong', field: 'pricing', stored: 'none', expected: 'usage and prices' }
    }
    if (marginPercent === null || costSource === 'manual') return { verdict: 'unverifiable' }
    return verdictOn(amount, creditsOfUsd({ costUsd, marginPercent }).credits)
  } catch (error) {
    if (!CreditError.isInstance(error)) throw error
    return { verdict: 'wrong', field: 'pricing', stored: error.message, expected: 'a valid snapshot' }
  }
}

function verdictOn(stored: string, expected: string): ChargeVerdict {
  return same(stored, expected) ? { verdict: 'ok' } : { verdict: 'wrong', field: 'amount', stored, expected }
}
