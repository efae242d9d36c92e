import { generateText, isLoopFinished, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import { CreditError, type CreditStore, createCredits } from '../../src/index.ts'
import { finish, provider, sleep, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }

/** An account whose store answers a reserve in a way of its own. */
function answering(reserve: (account: ReturnType<typeof testAccount>) => CreditStore['reserve']) {
  const account = testAccount()
  const credits = createCredits({ store: { ...account.store, reserve: reserve(account) } })
  return { ...account, context: { ...account.context, credits } }
}

describe('a process that was frozen past the life of a reservation', () => {
  it('reserves again when the reservation has expired before its answer was read', async () => {
    let calls = 0
    const { context, charges, store, balance } = answering(({ store }) => async (input) => {
      const result = await store.reserve(input)
      if (++calls > 1) return result
      store.advance(301)
      return store.reserve(input)
    })
    const result = await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'x' })
    expect(result.text).toHaveLength(1500)
    expect(calls).toBe(2)
    expect(await charges()).toMatchObject([{ amount: '-0.176' }])
    store.advance(301)
    expect(await balance()).toEqual({ available: '999.824', reserved: '0' })
  })

  it('reserves again when the store answers that the reservation is closed', async () => {
    let calls = 0
    const { context, charges } = answering(({ store }) => async (input) => {
      if (++calls > 1) return store.reserve(input)
      throw new CreditError({ code: 'RESERVATION_CLOSED', details: { state: 'expired' } })
    })
    await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'x' })
    expect(await charges()).toHaveLength(1)
  })

  it('ends no loop of a user who can pay: the next step makes a reservation of its own', async () => {
    const { context, charges, store, trips } = testAccount({ context: { ttlSeconds: 300 } })
    const sleepy = tool({
      inputSchema: z.object({}),
      execute: async () => {
        store.advance(301)
        return 'late'
      },
    })
    const result = await withCredits(
      generateText,
      context,
    )({ model: provider([looking, answer]).model, tools: { look: sleepy }, stopWhen: isLoopFinished(), prompt: 'x' })
    expect(result.steps).toHaveLength(2)
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.352', booked: true, stopped: undefined })
    expect(await charges()).toHaveLength(2)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(2)
  })

  it('counts the life of a reservation from the request, however late its answer was read', async () => {
    let calls = 0
    const { context, charges } = answering(({ store }) => async (input) => {
      const result = await store.reserve(input)
      if (++calls > 1) return result
      await sleep(1_100)
      store.advance(2)
      return result
    })
    const result = await withCredits(generateText, { ...context, ttlSeconds: 2 })({
      model: provider([answer]).model,
      prompt: 'x',
    })
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.176', stopped: undefined })
    expect(calls).toBe(2)
    expect(await charges()).toMatchObject([{ late: false }])
  })
})
