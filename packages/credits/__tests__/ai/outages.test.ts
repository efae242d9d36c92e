import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generateText, streamText } from 'ai'
import { describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { CreditError, type CreditStore, createCredits } from '../../src/index.ts'
import { fatal, finish, provider, textParts } from './scripted-model.ts'
import { testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }

/** The world of `books` over a store whose settle fails as often as told. */
function failing(times: number, code: 'STORE_UNAVAILABLE' | 'INTERNAL' = 'STORE_UNAVAILABLE') {
  const world = testAccount()
  let left = times
  const store: CreditStore = {
    ...world.store,
    settle: async (input) => {
      if (left-- > 0) throw new CreditError({ code })
      return world.store.settle(input)
    },
  }
  const context = { ...world.context, credits: createCredits({ store }) }
  return { ...world, context }
}

describe('when the books cannot be written', () => {
  it('a settlement that fails twice is done the third time', async () => {
    const { context, charges, errors } = failing(2)
    const { text } = await withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    expect(text).toHaveLength(1500)
    expect(await charges()).toHaveLength(1)
    expect(errors).toEqual([])
  })

  it('the reader keeps the answer; the lost charge is reported, and the hold is left to its expiry', async () => {
    const { context, charges, errors, store, balance } = failing(99)
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    let parts = 0
    for await (const _ of result.textStream) parts++
    expect(parts).toBe(500)
    expect(await charges()).toEqual([])
    expect(errors).toMatchObject([{ problem: { operation: 'settle', charge: { amount: '0.176', outputTokens: 500 } } }])
    expect((await balance()).reserved).not.toBe('0')
    store.advance(301)
    expect((await balance()).reserved).toBe('0')
  })

  it('an error handler that throws changes nothing', async () => {
    const { context } = failing(99, 'INTERNAL')
    const onError = () => {
      throw new Error('in the handler')
    }
    const call = withCredits(generateText, { ...context, onError, onSettled: onError })
    expect((await call({ model: provider([answer]).model, prompt: 'Hello' })).text).toHaveLength(1500)
  })

  it('a store that is down refuses the call before the provider is asked', async () => {
    const world = testAccount()
    const reserve = async () => Promise.reject(new CreditError({ code: 'STORE_UNAVAILABLE' }))
    const context = { ...world.context, credits: createCredits({ store: { ...world.store, reserve } }) }
    const { model, journal } = provider([answer])
    const call = withCredits(generateText, context)({ model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', status: 503 })
    expect(journal).toEqual([])
  })
})

describe('the platform', () => {
  it('is told to wait until the books are closed', async () => {
    const waited: Promise<unknown>[] = []
    const { context } = testAccount({ context: { waitUntil: (work) => waited.push(work) } })
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    await result.consumeStream()
    expect(waited).toHaveLength(1)
    expect(await waited[0]).toMatchObject({ charged: '0.176', closed: true })
  })

  it('has nothing to wait for when the call was refused', async () => {
    const waited: Promise<unknown>[] = []
    const { context } = testAccount({ available: '0.001', context: { waitUntil: (work) => waited.push(work) } })
    const call = withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ status: 402 })
    expect(waited).toEqual([])
  })
})

describe('the operator asked for payment by the provider', () => {
  it('is PROVIDER_UNAVAILABLE, never the user’s 402, and the hold is given back', async () => {
    const { context, balance, charges } = testAccount()
    const call = withCredits(
      generateText,
      context,
    )({ model: provider([{ rejects: fatal(402) }]).model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE', status: 503 })
    expect(await charges()).toEqual([])
    expect(await balance()).toEqual({ available: '1000', reserved: '0' })
  })
})

describe('a process that made calls', () => {
  it('ends by itself: no timer, no floating promise, no unhandled rejection', async () => {
    const script = fileURLToPath(new URL('./process-exit.script.ts', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--no-warnings', script], {
      timeout: 20_000,
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ timers: 0, rejections: 0, reserved: '0', exitedAfterMs: expect.any(Number) })
    expect((JSON.parse(stdout) as { exitedAfterMs: number }).exitedAfterMs).toBeLessThan(500)
  })
})
