import { readFileSync } from 'node:fs'
import { CreditError } from '../../src/core/errors.ts'
import { calculateCredits } from '../../src/core/pricing/calculate.ts'
import type { Charge } from '../../src/core/pricing/charge.ts'
import type { Usage } from '../../src/core/pricing/usage.ts'

const folder = new URL('../../../../supabase/rates/', import.meta.url)

/** A committed price list, as JSON. */
export const readList = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

interface Model {
  id: string
  type: string
  pricing: Record<string, unknown>
}

/** The gateway's list of 2026-10-07, which the worked examples are computed from. */
export const models: readonly Model[] = readList('gateway-models.json').data

const byId = new Map(models.map((model) => [model.id, model]))

/** One model of the list. */
export function model(id: string): Model {
  const found = byId.get(id)
  if (found === undefined) throw new Error(`no model ${id}`)
  return found
}

/** A charge at cost. */
export function price(id: string, usage: Usage, marginPercent = '0'): Charge {
  return calculateCredits(usage, { rate: model(id), marginPercent })
}

/** The code that a call fails with. */
export function codeOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return CreditError.isInstance(error) ? error.code : error
  }
  return 'no error'
}
