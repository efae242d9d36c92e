import { beforeAll, expect, test } from 'vitest'
import { type Api, makeApi, problemOf, SONNET } from '../kit/http-api.ts'

let api: Api

beforeAll(async () => {
  api = makeApi()
  for (const userId of [api.userId, api.otherId]) {
    const { reservationId } = await api.credits.reserve({ userId, model: SONNET, feature: 'chat', amount: '10' })
    await api.credits.settle({ userId, reservationId, usage: { inputTokens: 2000, outputTokens: 1000 } })
  }
})

const get = (path: string) => api.send(`/admin/credits/${path}`, { as: 'admin' })

test('the report shows revenue, cost and profit of a period', async () => {
  const body = await (await get('report')).json()
  expect(body.total).toMatchObject({ calls: 2, credits: '6.72', revenueUsd: '0.0672', costUsd: '0.042' })
  expect(body.by.model[SONNET]).toMatchObject({ profitUsd: '0.0252', profitPercent: '60' })
  expect((await (await get('report?from=2999-01-01T00:00:00Z')).json()).total.calls).toBe(0)
})

test('what-if replays the period under other margins, and a model id keeps its slash', async () => {
  const margins = encodeURIComponent(`default=0,model:${SONNET}=100`)
  const body = await (await get(`what-if?margins=${margins}`)).json()
  expect(body.hypothetical.total).toMatchObject({ credits: '8.4', profitUsd: '0.042' })
  expect(body.actual.total.credits).toBe('6.72')
  expect((await (await get(`what-if?margins=plan:free=10`)).json()).hypothetical.total.credits).toBe('4.62')
})

test('drift counts the calls of which only one figure is known', async () => {
  expect(await (await get('drift')).json()).toEqual({ rows: [], alerts: 0, notCompared: 2 })
})

test('the reports are refused to everyone but admins', async () => {
  for (const path of ['report', 'what-if', 'drift']) {
    expect(await problemOf(await api.send(`/admin/credits/${path}`, { as: 'user' }))).toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(await problemOf(await api.send(`/admin/credits/${path}`, { as: 'nobody' }))).toMatchObject({
      code: 'UNAUTHENTICATED',
    })
  }
})

test('a report query that makes no sense is refused with 422', async () => {
  const bad = [
    'report?from=monday',
    'what-if?margins=40',
    'what-if?margins=default=',
    'what-if?margins=default=NaN',
    'drift?thresholdPercent=five',
  ]
  for (const path of bad)
    expect(await problemOf(await get(path)), path).toMatchObject({ status: 422, code: 'INVALID_INPUT' })
})
