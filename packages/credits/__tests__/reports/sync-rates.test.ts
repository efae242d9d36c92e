import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import { type SyncRatesInput, syncRates } from '../../src/credits/sync-rates.ts'
import { createTestCredits, SONNET, type TestCredits } from '../kit/credits.ts'
import { stopDatabases } from '../kit/database.ts'

let database: TestCredits
const servers: Server[] = []

beforeAll(async () => {
  database = await createTestCredits()
}, 120_000)
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})
afterAll(async () => {
  await database?.close()
  await stopDatabases()
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/models`
}

interface Model {
  id: string
  type: string
  pricing?: Record<string, unknown>
  context_window?: number | null
  max_tokens?: number | null
}

/** The list that says what our rates say already. */
async function sameList(): Promise<Model[]> {
  const { rates, asOf } = await database.store.getPricing()
  const inForce = rates.filter((row) => row.effectiveFrom <= asOf)
  return inForce.map(({ modelId: id, type, pricing, contextWindow, maxOutputTokens }) => ({
    id,
    type,
    pricing: { ...pricing },
    context_window: contextWindow,
    max_tokens: maxOutputTokens,
  }))
}

const sync = (data: unknown, more: Partial<SyncRatesInput> = {}) =>
  syncRates({ store: database.store, source: { text: JSON.stringify({ data }), name: 'test list' }, ...more })

const count = async () =>
  Number((await database.admin.query<{ count: string }>('select count(*) from public.credit_rates')).rows[0]?.count)

async function failure(promise: Promise<unknown>): Promise<{ code: string; path: unknown }> {
  const error: unknown = await promise.then(
    () => expect.fail('it succeeded'),
    (thrown: unknown) => thrown,
  )
  if (!CreditError.isInstance(error)) throw error
  return { code: error.code, path: error.code === 'INVALID_INPUT' && error.details.issues?.[0]?.path }
}

describe('syncRates', () => {
  it('writes nothing when the list says what the rates say, and reads them in one query', async () => {
    const list = await sameList()
    const before = await count()
    database.queries.length = 0
    const result = await sync(list)
    expect(database.queries).toEqual(['credits_get_pricing'])
    expect(result).toMatchObject({ inserted: [], changed: [], held: [], gone: [], written: 0, unchanged: list.length })
    expect(await count()).toBe(before)
  })

  it('adds new models and small changes as new rows in force from now; old rows stay as they were', async () => {
    const list = await sameList()
    const [old] = await database.store.getRateHistory({ modelId: SONNET })
    const price = { ...old?.pricing, input: '0.0000031' }
    const next = list.map((row) => (row.id === SONNET ? { ...row, pricing: price } : row))
    next.push({ id: 'acme/new', type: 'language', pricing: { input: '0.000001', output: '0.000002' } })
    expect(await sync(next, { dryRun: true })).toMatchObject({ inserted: ['acme/new'], written: null })
    expect((await database.store.getRateHistory({ modelId: SONNET })).length).toBe(1)

    const result = await sync(next)
    expect(result).toMatchObject({ inserted: ['acme/new'], changed: [{ modelId: SONNET }], held: [], written: 2 })
    const history = await database.store.getRateHistory({ modelId: SONNET })
    expect(history).toMatchObject([{ pricing: { input: '0.0000031' }, source: 'test list' }, { id: old?.id }])
    expect(history[1]).toEqual(old)
    const { rows } = await database.admin.query('select source_hash from public.credit_rates where id = $1', [
      history[0]?.id,
    ])
    expect(rows[0].source_hash).toBe(result.sourceHash)
    expect((await sync(next)).written).toBe(0)
  })

  it('keeps back what looks like a mistake until it is accepted by name, and applies the rest', async () => {
    const list = await sameList()
    const change = (id: string, pricing: Record<string, unknown>) => {
      const row = list.find((model) => model.id === id)
      if (row) row.pricing = { ...row.pricing, ...pricing }
    }
    change(SONNET, { input: '0.0031' })
    change('acme/new', { output: '0.0000021' })
    const held = await sync(list)
    expect(held).toMatchObject({ changed: [{ modelId: 'acme/new' }], held: [{ modelId: SONNET }], written: 1 })
    expect(held.held[0]?.reasons).toEqual(['input: 0.0000031 -> 0.0031 is more than 3x'])
    expect(await failure(sync(list, { accept: ['anthropic/claude-sonet-4.5'] }))).toMatchObject({
      code: 'INVALID_INPUT',
      path: 'accept',
    })
    expect(await sync(list, { accept: [SONNET] })).toMatchObject({
      held: [],
      accepted: [{ modelId: SONNET }],
      written: 1,
    })
    expect((await database.store.getRateHistory({ modelId: SONNET }))[0]?.pricing?.input).toBe('0.0031')
  })

  it('lets nothing pass when more than a tenth of the priced models are missing', async () => {
    const list = await sameList()
    const few = list
      .filter((_, index) => index % 5 !== 0)
      .map((row) => (row.id === SONNET ? { ...row, pricing: { input: '0.0032' } } : row))
    const result = await sync(few)
    expect(result).toMatchObject({ inserted: [], changed: [], written: 0 })
    expect(result.held.find((row) => row.modelId === SONNET)?.reasons.join()).toMatch(
      /models are missing from the list/,
    )
    expect(result.gone.length).toBeGreaterThan(50)
  })

  it('waits where another change of the model is scheduled: neither may win in silence', async () => {
    const effectiveFrom = new Date(Date.now() + 3_600_000).toISOString()
    const rate = (await database.store.getRateHistory({ modelId: 'acme/new' }))[0]
    const pricing = { input: '0.000001', output: '0.0000022' }
    await database.store.addRates({
      rates: [{ modelId: 'acme/new', type: 'language', pricing, source: 'contract', effectiveFrom }],
    })
    const list = (await sameList()).filter((row) => row.id !== 'acme/new')
    list.push({ id: 'acme/new', type: 'language', pricing: { ...rate?.pricing, output: '0.0000023' } })
    const result = await sync(list, { accept: 'all' })
    expect(result.held).toMatchObject([{ modelId: 'acme/new', reasons: [expect.stringContaining('scheduled for')] }])
    expect(result.written).toBe(0)
  })

  it('takes from getAvailableModels what is new, and holds a price that contradicts a fuller list', async () => {
    const models = (await sameList()).map(({ id, type, pricing }) => ({
      id,
      modelType: type,
      pricing:
        pricing?.input && pricing.output ? { input: String(pricing.input), output: String(pricing.output) } : null,
    }))
    models.push({ id: 'acme/newer', modelType: 'language', pricing: { input: '0.1', output: '0.2' } })
    const tiered = (await sameList()).find((row) => row.pricing?.input_tiers !== undefined)
    const other = models.find((row) => row.id === tiered?.id)
    if (other?.pricing) other.pricing.output = '0.9'
    const gateway = { getAvailableModels: async () => ({ models }) }
    const result = await syncRates({ store: database.store, source: { gateway } })
    expect(result).toMatchObject({ inserted: ['acme/newer'], held: [{ modelId: tiered?.id }] })
    // Accepted, it replaces the prices that it names and keeps the others.
    await syncRates({ store: database.store, source: { gateway }, accept: [tiered?.id ?? ''] })
    const [now] = await database.store.getRateHistory({ modelId: tiered?.id ?? '' })
    expect(now?.pricing).toEqual({ ...tiered?.pricing, output: '0.9' })
  })

  it('a malformed list changes nothing, and the error names the place', async () => {
    const before = await count()
    const row = (pricing: unknown) => [{ id: 'a/b', type: 'language', pricing }]
    const bad: [unknown, string][] = [
      [row({ input: '-0.1' }), 'data[0].pricing.input'],
      [row({ input: 'NaN' }), 'data[0].pricing.input'],
      [row({ input: 0.000003 }), 'data[0].pricing.input'],
      [row({ input: '2' }), 'data[0].pricing.input'],
      [row({ input_tiers: [{ cost: '0.1', min: 5, max: 4 }] }), 'data[0].pricing.input_tiers[0].max'],
      [[{ type: 'language', pricing: {} }], 'data[0].id'],
      [[], 'data'],
      [{}, 'data'],
    ]
    for (const [data, path] of bad) expect(await failure(sync(data)), path).toEqual({ code: 'INVALID_INPUT', path })
    // Not even JSON.stringify can write this one.
    const huge = '{"data":[{"id":"a/b","type":"language","pricing":{"input":1e309}}]}'
    const text = (source: string) => failure(syncRates({ store: database.store, source: { text: source, name: 'x' } }))
    expect(await text(huge)).toEqual({ code: 'INVALID_INPUT', path: 'data[0].pricing.input' })
    for (const source of ['<html>', '', '[', 'null']) expect((await text(source)).code, source).toBe('INVALID_INPUT')
    expect(await count()).toBe(before)
  })
})

describe('syncRates over HTTP', () => {
  let list: string
  beforeEach(async () => {
    list = JSON.stringify({ data: await sameList() })
  })

  it('reads the list where the operator said', async () => {
    const url = await serve((_, response) => response.end(list))
    expect(await syncRates({ store: database.store, source: { url } })).toMatchObject({ source: url, held: [] })
  })

  it('follows no redirect', async () => {
    const elsewhere = await serve((_, response) => response.end(list))
    const url = await serve((_, response) => response.writeHead(302, { location: elsewhere }).end())
    expect(await failure(syncRates({ store: database.store, source: { url } }))).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
    })
  })

  it('stops at a size and at a time, while the body still comes', async () => {
    const endless = await serve((_, response) => {
      const more = () => {
        if (response.destroyed) return
        response.write(' '.repeat(65_536))
        setTimeout(more, 1)
      }
      more()
    })
    const tooLong = syncRates({ store: database.store, source: { url: endless, maxBytes: 1_000_000 } })
    expect((await failure(tooLong)).code).toBe('INVALID_INPUT')
    const slow = await serve((_, response) => void response.write('{"data":['))
    const started = performance.now()
    const tooSlow = syncRates({ store: database.store, source: { url: slow, timeoutMs: 200 } })
    expect((await failure(tooSlow)).code).toBe('PROVIDER_UNAVAILABLE')
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('says when there is no answer, and refuses an address that others can listen in on', async () => {
    for (const status of [404, 500, 204]) {
      const url = await serve((_, response) => response.writeHead(status).end())
      expect((await failure(syncRates({ store: database.store, source: { url } }))).code).toBe('PROVIDER_UNAVAILABLE')
    }
    for (const url of ['http://example.test/v1/models', 'file:///etc/passwd', 'models.json']) {
      expect(await failure(syncRates({ store: database.store, source: { url } }))).toEqual({
        code: 'INVALID_INPUT',
        path: 'url',
      })
    }
  })
})
