import { expect, it } from 'vitest'
import { price } from '../../../__tests__/kit/models.ts'
import { creditsOfUsd } from '../money.ts'
import { type VerifiableCharge, verifyCharge } from './verify-charge.ts'

const usage = { inputTokens: 12_345, cacheReadTokens: 678, outputTokens: 90 }
const charge = price('anthropic/claude-sonnet-4.5', usage, '60')
const row: VerifiableCharge = {
  amount: charge.credits,
  costUsd: charge.costUsd,
  marginPercent: '60',
  costSource: 'rate',
  computedCostUsd: charge.costUsd,
  usage,
  // As it comes back from the database.
  pricing: JSON.parse(JSON.stringify(charge.pricing)),
}
const reported = {
  ...row,
  costSource: 'market-cost',
  costUsd: '0.05',
  amount: creditsOfUsd({ costUsd: '0.05', marginPercent: '60' }).credits,
}

it('accepts a charge that its own row explains, from a rate or from a reported cost', () => {
  expect(verifyCharge(row)).toEqual({ verdict: 'ok' })
  expect(verifyCharge({ ...row, amount: `${row.amount}0` })).toEqual({ verdict: 'ok' })
  expect(verifyCharge(reported)).toEqual({ verdict: 'ok' })
  expect(verifyCharge({ ...reported, usage: null, pricing: null, computedCostUsd: null })).toEqual({ verdict: 'ok' })
})

it.each([
  ['another amount', { ...row, amount: '9' }, 'amount'],
  ['another cost', { ...row, costUsd: '0.01' }, 'costUsd'],
  ['another computed cost', { ...reported, computedCostUsd: '0.01' }, 'computedCostUsd'],
  ['another amount for the reported cost', { ...reported, amount: '8.000001' }, 'amount'],
  ['one more token', { ...row, usage: { ...usage, outputTokens: 91 } }, 'computedCostUsd'],
  ['no prices', { ...row, pricing: null }, 'pricing'],
  ['prices of no known version', { ...row, pricing: { version: 9 } }, 'pricing'],
  ['a usage that is no usage', { ...row, usage: { inputTokens: -1 } }, 'pricing'],
])('finds %s', (_, tampered, field) => {
  expect(verifyCharge(tampered)).toMatchObject({ verdict: 'wrong', field })
})

it('says that a manual amount cannot be recomputed', () => {
  const manual = { ...row, costSource: 'manual', usage: null, pricing: null, computedCostUsd: null }
  expect(verifyCharge(manual)).toEqual({ verdict: 'unverifiable' })
  expect(verifyCharge({ ...manual, costSource: 'estimate', marginPercent: null })).toEqual({ verdict: 'unverifiable' })
})
