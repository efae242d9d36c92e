import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selectRate } from '../../src/core/pricing/rates.ts'
import type { PricingSnapshot } from '../../src/store/port.ts'
import { createTestCredits, type TestCredits } from '../kit/credits.ts'
import { stopDatabases } from '../kit/database.ts'

const gateway = join(dirname(fileURLToPath(import.meta.resolve('@ai-sdk/gateway'))), '../src')

let database: TestCredits
let snapshot: PricingSnapshot

beforeAll(async () => {
  database = await createTestCredits()
  snapshot = await database.store.getPricing()
}, 120_000)
afterAll(async () => {
  await database?.close()
  await stopDatabases()
})

/** The ids that the installed package knows, by file. */
const files = globSync('gateway-*-model-settings.ts', { cwd: gateway }).sort()
const idsOf = (file: string) =>
  [...readFileSync(join(gateway, file), 'utf8').matchAll(/^\s*\| '([^']+)'/gm)].map((match) => match[1] ?? '')

describe('the rates know every model of the installed @ai-sdk/gateway', () => {
  it('which names more than 500 models of nine types', () => {
    expect(files).toHaveLength(9)
    expect(new Set(files.flatMap(idsOf)).size).toBeGreaterThan(500)
  })

  it.each(files)('%s', (file) => {
    const missing = idsOf(file).filter((modelId) => selectRate(snapshot, { modelId }) === null)
    expect(missing, 'run: credits rates sync, and rebuild supabase/seed.sql').toEqual([])
  })
})

describe('the seeded rates', () => {
  it('arrive in one query, however many there are', async () => {
    database.queries.length = 0
    const credits = database.make()
    const { snapshot: cached } = await credits.pricing()
    expect(cached.rates.length).toBeGreaterThan(500)
    expect(database.queries).toEqual(['credits_get_pricing'])
    for (const { modelId, known } of cached.rates) {
      if (known) await credits.price({ model: modelId, usage: {} }).catch(() => undefined)
    }
    expect(database.queries).toEqual(['credits_get_pricing'])
  })
})
