import { describe, expect, it } from 'vitest'
import { model, readList } from '../../../__tests__/kit/models.ts'
import { add } from '../money.ts'
import { calculateCredits } from './calculate.ts'
import { recomputeCharge } from './charge.ts'
import type { Usage } from './usage.ts'

interface Example {
  id: string
  model: string
  usage: Usage
  expected_usd: string
  expected_credits_margin60: string
}
// Two examples say in their note, not in their usage, what was served.
const SERVED: Record<string, Usage> = { E19: { fast: true }, E20: { serviceTier: 'flex' } }

describe('the worked examples', () => {
  const examples: Example[] = readList('worked-examples.json').examples

  it('are twenty', () => {
    expect(examples).toHaveLength(20)
  })

  it.each(examples)('$id $model is right to the last digit and recomputes from its own snapshot', (example) => {
    const usage = { ...example.usage, ...SERVED[example.id] }
    const charge = calculateCredits(usage, { rate: model(example.model).pricing, marginPercent: '60' })
    expect(charge.costUsd).toBe(example.expected_usd)
    expect(charge.exactCredits).toBe(example.expected_credits_margin60)
    expect(charge.items.map((item) => item.costUsd).reduce(add)).toBe(charge.costUsd)
    const stored = JSON.parse(JSON.stringify(charge.pricing))
    expect(recomputeCharge({ usage, pricing: stored })).toMatchObject({ credits: charge.credits, items: charge.items })
  })
})
