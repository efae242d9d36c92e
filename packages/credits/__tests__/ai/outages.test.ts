import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generateText, isLoopFinished, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, type CreditsReceipt, creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { CreditError, type CreditStore, createCredits } from '../../src/index.ts'
import { fatal, finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }

type Failure = 'STORE_UNAVAILABLE' | 'OUTCOME_UNKNOWN' | 'INTERNAL'

/** An account over a store that refuses one of its writes so many times, and counts the attempts. */
function unreliable(name: 'settle' | 'capture', times: number, code: Failure = 'STORE_UNAVAILABLE') {
  const account = testAccount()
  const attempts = { count: 0 }
  const write = account.store[name] as (input: unknown) => Promise<unknown>
  const failing = async (input: unknown) => {
    attempts.count++
    if (attempts.count <= times) throw new CreditError({ code })
    return write(input)
  }
  const store = { ...account.store, [name]: failing } as CreditStore
  return { ...account, attempts, context: { ...account.context, credits: createCredits({ store }) } }
}

const ask = (context: CreditsContext) =>
  withCredits(generateText, context)({ model: provider([answer]).model, prompt: 'Hello' })

describe('a settlement that cannot be written', () => {
  it('is reported once and written by the third attempt', async () => {
    const { context, charges, errors } = unreliable('settle', 2)
    const result = await ask(context)
    expect(result.text).toHaveLength(1500)
    expect(creditsReceipt(result)).toMatchObject({ charged: '0.176', closed: true, booked: false })
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.176', closed: true, booked: true })
    expect(await charges()).toHaveLength(1)
    expect(errors).toMatchObject([{ error: { code: 'STORE_UNAVAILABLE' }, context: { operation: 'settle' } }])
  })

  it('does not keep the caller waiting: later attempts go on in the background', async () => {
    const { context, attempts } = unreliable('settle', 6)
    const startedAt = Date.now()
    const result = await ask(context)
    expect(Date.now() - startedAt).toBeLessThan(400)
    await settledReceipt(result)
    expect(attempts.count).toBe(7)
  })

  it('is reported with its charge and then still written', async () => {
    const { context, charges, errors, balance } = unreliable('settle', 5)
    const result = await ask(context)
    expect(await settledReceipt(result)).toMatchObject({ booked: true })
    expect(errors).toMatchObject([
      {
        error: { code: 'STORE_UNAVAILABLE' },
        context: { operation: 'settle', reservationId: expect.any(String), charge: { amount: '0.176' } },
      },
    ])
    expect(await charges()).toMatchObject([{ amount: '-0.176' }])
    expect((await balance()).reserved).toBe('0')
  })

  it('is written late when the outage outlives the reservation', async () => {
    const { context, charges, store, balance } = unreliable('settle', 5)
    const result = await ask(context)
    store.advance(301)
    expect(creditsReceipt(result)).toMatchObject({ booked: false })
    expect(await settledReceipt(result)).toMatchObject({ booked: true, charged: '0.176' })
    expect(await charges()).toMatchObject([{ amount: '-0.176', late: true }])
    expect(await balance()).toEqual({ available: '999.824', reserved: '0' })
  })

  it('is written once when the answer of the first attempt was lost', async () => {
    const account = testAccount()
    let lost = 2
    const store: CreditStore = {
      ...account.store,
      settle: async (input) => {
        const result = await account.store.settle(input)
        if (lost-- > 0) throw new CreditError({ code: 'OUTCOME_UNKNOWN' })
        return result
      },
    }
    const result = await ask({ ...account.context, credits: createCredits({ store }) })
    expect(await settledReceipt(result)).toMatchObject({ booked: true })
    expect(await account.charges()).toHaveLength(1)
  })

  it('keeps the platform awake until it is written', async () => {
    const waited: Promise<unknown>[] = []
    const { context } = unreliable('settle', 4)
    await ask({ ...context, waitUntil: (work) => waited.push(work) })
    expect(waited).toHaveLength(1)
    expect(await waited[0]).toMatchObject({ booked: true })
  })

  it('reaches onSettled only when it is written', async () => {
    const receipts: CreditsReceipt[] = []
    const { context } = unreliable('settle', 3)
    const result = await ask({ ...context, onSettled: (receipt) => receipts.push(receipt) })
    expect(receipts).toEqual([])
    await settledReceipt(result)
    expect(receipts).toMatchObject([{ booked: true, charged: '0.176' }])
  })

  it('is given up when the store refuses it for good, and the receipt says that it is not booked', async () => {
    const { context, charges, errors, store, balance } = unreliable('settle', 99, 'INTERNAL')
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    let parts = 0
    for await (const _ of result.textStream) parts++
    expect(parts).toBe(500)
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.176', closed: true, booked: false })
    expect(await charges()).toEqual([])
    expect(errors).toMatchObject([{ context: { operation: 'settle', charge: { amount: '0.176', outputTokens: 500 } } }])
    expect((await balance()).reserved).not.toBe('0')
    store.advance(301)
    expect((await balance()).reserved).toBe('0')
  })

  it('is reported to onError of createCredits when the call has no handler of its own', async () => {
    const reported: unknown[] = []
    const account = testAccount()
    const settle = async () => Promise.reject(new CreditError({ code: 'INTERNAL' }))
    const store: CreditStore = { ...account.store, settle }
    const credits = createCredits({ store, onError: (error, context) => reported.push({ error, context }) })
    await settledReceipt(await ask({ credits, userId: account.userId }))
    expect(reported).toMatchObject([
      {
        error: { code: 'INTERNAL' },
        context: { operation: 'settle', userId: account.userId, charge: { amount: '0.176' } },
      },
    ])
  })

  it('does not lose the charge of an earlier step whose capture failed', async () => {
    const { context, charges, balance } = unreliable('capture', 4)
    const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
    const step = { parts: [...textParts(500, 'a'), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
    const result = await withCredits(
      generateText,
      context,
    )({ model: provider([step, answer]).model, prompt: 'Hello', tools: { look }, stopWhen: isLoopFinished() })
    expect(await settledReceipt(result)).toMatchObject({ booked: true, charged: '0.352' })
    expect((await charges()).map(({ amount }) => amount)).toEqual(['-0.176', '-0.176'])
    expect((await balance()).reserved).toBe('0')
  })
})

describe('an outage', () => {
  it('does not reach the caller through an error handler that throws', async () => {
    const { context } = unreliable('settle', 99, 'INTERNAL')
    const onError = () => {
      throw new Error('in the handler')
    }
    const call = withCredits(generateText, { ...context, onError, onSettled: onError })
    expect((await call({ model: provider([answer]).model, prompt: 'Hello' })).text).toHaveLength(1500)
  })

  it('refuses the call before the provider is called when nothing can be reserved', async () => {
    const account = testAccount()
    const reserve = async () => Promise.reject(new CreditError({ code: 'STORE_UNAVAILABLE' }))
    const context = { ...account.context, credits: createCredits({ store: { ...account.store, reserve } }) }
    const { model, journal } = provider([answer])
    const call = withCredits(generateText, context)({ model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', status: 503 })
    expect(journal).toEqual([])
  })
})

describe('waitUntil', () => {
  it('receives the work until the charges are written', async () => {
    const waited: Promise<unknown>[] = []
    const { context } = testAccount({ context: { waitUntil: (work) => waited.push(work) } })
    const result = await withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    await result.consumeStream()
    expect(waited).toHaveLength(1)
    expect(await waited[0]).toMatchObject({ charged: '0.176', closed: true })
  })

  it('receives nothing when the call was refused', async () => {
    const waited: Promise<unknown>[] = []
    const { context } = testAccount({ available: '0.001', context: { waitUntil: (work) => waited.push(work) } })
    const call = withCredits(streamText, context)({ model: provider([answer]).model, prompt: 'Hello' })
    await expect(call).rejects.toMatchObject({ status: 402 })
    expect(waited).toEqual([])
  })
})

describe('a provider that asks the operator for payment', () => {
  it('is PROVIDER_UNAVAILABLE, never the user’s 402, and the reservation is released', async () => {
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
  it('ends by itself, without a timer, a pending promise or an unhandled rejection', async () => {
    const script = fileURLToPath(new URL('./process-exit.script.ts', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--no-warnings', script], {
      timeout: 20_000,
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ timers: 0, rejections: 0, reserved: '0', exitedAfterMs: expect.any(Number) })
    expect((JSON.parse(stdout) as { exitedAfterMs: number }).exitedAfterMs).toBeLessThan(500)
  })
})
