import { experimental_streamTextLowMemory, generateText, isLoopFinished, isStepCount, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'
import {
  type Behaviour,
  fatal,
  finish,
  type JournalEntry,
  provider,
  retryable,
  type StreamPart,
  sleep,
  textParts,
  toolCall,
  type usageOf,
} from './scripted-model.ts'
import { settledReceipt, type TestAccount, testAccount } from './test-account.ts'

const LENGTH = 500
const tools = { look: tool({ inputSchema: z.object({}), execute: async () => 'seen' }) }
const looking = (id: string) => [...textParts(LENGTH, id), toolCall(id, 'look'), finish('tool-calls', 100, LENGTH)]
const answering = [...textParts(LENGTH), finish('stop', 100, LENGTH)]
const threeSteps: Behaviour[] = [{ parts: looking('a') }, { parts: looking('b') }, { parts: answering }]

type Options = Parameters<typeof streamText>[0]
interface Scenario {
  script: Behaviour[]
  options?: Partial<Options>
  context?: Partial<CreditsContext>
  fn?: typeof streamText
  read: (result: Awaited<ReturnType<typeof streamText>>) => Promise<void>
}

const readAll = async (result: { stream: AsyncIterable<unknown> }) => {
  for await (const _ of result.stream);
}
const readParts = (count: number) => async (result: { stream: AsyncIterable<unknown> }) => {
  let left = count
  for await (const _ of result.stream) if (--left === 0) break
}
const ignoringErrors =
  (read: Scenario['read']): Scenario['read'] =>
  (result) =>
    read(result).catch(() => undefined)

interface Outcome extends TestAccount {
  journal: JournalEntry[]
}

/** Streams, and waits until the books of the call are closed. */
async function stream({ script, options = {}, context, fn = streamText, read }: Scenario): Promise<Outcome> {
  const account = testAccount({ context: { abandoned: { policy: 'cancel', idleSeconds: 0.2 }, ...context } })
  const { model, journal } = provider(script)
  const call = { model, prompt: 'Hello', onError: () => undefined, ...options } as Options
  const result = await withCredits(fn, account.context)(call)
  await read(result)
  await settledReceipt(result)
  return { ...account, journal }
}

const reservations = async ({ balance }: Outcome) => (await balance()).reserved

/** Each provider call that worked is one transaction, in order, with the tokens that the provider counted. */
async function expectOneToOne(outcome: Outcome, expected: { outputTokens: number; estimated: boolean }[]) {
  const charges = await outcome.charges()
  expect(charges.map(({ outputTokens, estimated }) => ({ outputTokens, estimated }))).toEqual(expected)
  expect(outcome.journal.filter((entry) => entry.outcome !== 'refused')).toHaveLength(expected.length)
  expect(await reservations(outcome)).toBe('0')
  expect(outcome.trips.filter((trip) => trip === 'settle' || trip === 'release')).toHaveLength(1)
  expect(outcome.errors).toEqual([])
}
const exact = { outputTokens: LENGTH, estimated: false }

const loop = { tools, stopWhen: isLoopFinished() }

describe('a stream is settled exactly once, however it ends', () => {
  it('three tool steps that are read to the end make one more round trip for each further step', async () => {
    const outcome = await stream({ script: threeSteps, options: loop, read: readAll })
    await expectOneToOne(outcome, [exact, exact, exact])
    expect(outcome.trips).toEqual(['reserve', 'capture', 'capture', 'settle'])
  })

  it('a stream that is aborted in its second step is charged exactly for the first and by what was seen for the second', async () => {
    const controller = new AbortController()
    let parts = 0
    const outcome = await stream({
      script: threeSteps,
      options: { ...loop, abortSignal: controller.signal },
      read: async (result) => {
        for await (const part of result.stream) {
          if (part.type === 'text-delta' && ++parts === LENGTH + 200) controller.abort()
        }
      },
    })
    const second = outcome.journal[1]?.deltas ?? 0
    expect(second).toBeGreaterThan(150)
    expect(second).toBeLessThan(LENGTH)
    await expectOneToOne(outcome, [exact, { outputTokens: second, estimated: true }])
  })

  it('a stream is settled when the provider ignores the abort', async () => {
    const controller = new AbortController()
    let parts = 0
    const outcome = await stream({
      script: [{ parts: answering, honoursAbort: false }],
      options: { abortSignal: controller.signal },
      read: async (result) => {
        for await (const part of result.stream) if (part.type === 'text-delta' && ++parts === 100) controller.abort()
      },
    })
    expect(outcome.journal[0]?.outcome).toBe('cancelled')
    await expectOneToOne(outcome, [{ outputTokens: outcome.journal[0]?.deltas ?? 0, estimated: true }])
  })

  it('a stream that times out is charged by what was seen', async () => {
    const outcome = await stream({
      script: [{ parts: answering, delayMs: 1 }],
      options: { timeout: 100 },
      read: ignoringErrors(readAll),
    })
    expect(outcome.journal[0]?.outcome).toBe('aborted')
    const [charge] = await outcome.charges()
    expect(charge).toMatchObject({ estimated: true, outputTokens: outcome.journal[0]?.deltas })
    expect(outcome.journal).toHaveLength(1)
    expect(await reservations(outcome)).toBe('0')
  })

  it('a stream that is aborted while it is not read is settled at once', async () => {
    const controller = new AbortController()
    const outcome = await stream({
      script: [{ parts: answering }],
      options: { abortSignal: controller.signal },
      context: { abandoned: undefined },
      read: async (result) => {
        const reader = result.stream.getReader()
        for (let part = 0; part < 50; part++) await reader.read()
        await sleep(20)
        controller.abort()
      },
    })
    expect(outcome.journal[0]?.outcome).toBe('aborted')
    expect(outcome.trips).toEqual(['reserve', 'settle'])
    expect(await outcome.charges()).toMatchObject([{ outputTokens: outcome.journal[0]?.deltas, estimated: true }])
  })

  it('an abort while a tool runs charges the step before it', async () => {
    const controller = new AbortController()
    const slow = {
      look: tool({
        inputSchema: z.object({}),
        execute: async () => {
          controller.abort()
          await sleep(20)
          return 'late'
        },
      }),
    }
    const outcome = await stream({
      script: threeSteps,
      options: { ...loop, tools: slow, abortSignal: controller.signal } as Partial<Options>,
      read: ignoringErrors(readAll),
    })
    await expectOneToOne(outcome, [exact])
  })

  it('a signal that was aborted before the call makes no provider call and no charge', async () => {
    const outcome = await stream({
      script: threeSteps,
      options: { ...loop, abortSignal: AbortSignal.abort() },
      read: ignoringErrors(readAll),
    })
    expect(outcome.journal).toEqual([])
    expect(await outcome.charges()).toEqual([])
    expect(outcome.trips).toEqual(['reserve', 'release'])
  })

  it('an error part without a finish in the second step is charged by what was seen', async () => {
    const broken: StreamPart[] = [...textParts(LENGTH).slice(0, 300), { type: 'error', error: new Error('overloaded') }]
    const outcome = await stream({ script: [{ parts: looking('a') }, { parts: broken }], options: loop, read: readAll })
    await expectOneToOne(outcome, [exact, { outputTokens: 299, estimated: true }])
  })

  it('an error part followed by a finish with a usage is charged exactly', async () => {
    const parts: StreamPart[] = [
      ...textParts(LENGTH),
      { type: 'error', error: new Error('late') },
      finish('error', 100, LENGTH),
    ]
    await expectOneToOne(await stream({ script: [{ parts }], read: readAll }), [exact])
  })

  it('a provider stream that breaks in the second step is charged by what was seen', async () => {
    const outcome = await stream({
      script: [{ parts: looking('a') }, { parts: looking('b'), breaksAt: 250 }],
      options: loop,
      read: ignoringErrors(readAll),
    })
    await expectOneToOne(outcome, [exact, { outputTokens: 249, estimated: true }])
  })

  it('a rejection in the first step costs nothing', async () => {
    const outcome = await stream({ script: [{ rejects: fatal() }], options: loop, read: ignoringErrors(readAll) })
    await expectOneToOne(outcome, [])
    expect(outcome.trips).toEqual(['reserve', 'release'])
  })

  it('a rejection in a later step charges the steps before it', async () => {
    const outcome = await stream({
      script: [{ parts: looking('a') }, { rejects: fatal() }],
      options: loop,
      read: ignoringErrors(readAll),
    })
    await expectOneToOne(outcome, [exact])
  })

  it('two refusals before an answer cost nothing and use the same reservation', async () => {
    const outcome = await stream({
      script: [{ rejects: retryable() }, { rejects: retryable() }, { parts: answering }],
      read: readAll,
    })
    await expectOneToOne(outcome, [exact])
    expect(outcome.journal).toHaveLength(3)
    expect(outcome.trips).toEqual(['reserve', 'settle'])
  })

  it('a stream that is tried again after an error part is charged for both attempts', async () => {
    const broken: StreamPart[] = [
      ...textParts(LENGTH).slice(0, 300),
      { type: 'error', error: new Error('overloaded') },
      finish('error', 100, 299),
    ]
    const outcome = await stream({
      script: [{ parts: broken }, { parts: answering }],
      options: { streamRetries: 1 },
      read: readAll,
    })
    const [first, second] = await outcome.charges()
    expect(first).toMatchObject({ outputTokens: 299 })
    expect(second).toMatchObject(exact)
    expect(outcome.journal).toHaveLength(2)
    expect(await reservations(outcome)).toBe('0')
  })

  it('a stream without a finish part is charged by what was seen', async () => {
    const outcome = await stream({ script: [{ parts: textParts(LENGTH) }], read: ignoringErrors(readAll) })
    await expectOneToOne(outcome, [{ outputTokens: LENGTH, estimated: true }])
  })

  it('a finish without a usage is charged by what was seen', async () => {
    const bare = { ...finish('stop', 0, 0), usage: undefined } as unknown as StreamPart
    const outcome = await stream({ script: [{ parts: [...textParts(LENGTH), bare] }], read: ignoringErrors(readAll) })
    await expectOneToOne(outcome, [{ outputTokens: LENGTH, estimated: true }])
  })

  it('a usage that counts nothing is replaced by what was seen', async () => {
    const empty = { inputTokens: {}, outputTokens: {} } as ReturnType<typeof usageOf>
    const parts: StreamPart[] = [...textParts(LENGTH), { ...finish('stop', 0, 0), usage: empty } as StreamPart]
    const outcome = await stream({ script: [{ parts }], read: readAll })
    await expectOneToOne(outcome, [{ outputTokens: LENGTH, estimated: true }])
  })

  it('a stream that is never read is cancelled after the idle time and charged by what was generated', async () => {
    const outcome = await stream({ script: [{ parts: answering }], read: async () => undefined })
    const [entry] = outcome.journal
    expect(entry).toMatchObject({ outcome: 'cancelled' })
    expect(entry?.deltas).toBeLessThan(50)
    await expectOneToOne(outcome, [{ outputTokens: entry?.deltas ?? 0, estimated: true }])
  })

  it('a reader that breaks off in the second step is charged exactly for the first and by what was seen for the second', async () => {
    const outcome = await stream({ script: threeSteps, options: loop, read: readParts(LENGTH + 200) })
    expect(outcome.journal[1]?.outcome).toBe('cancelled')
    await expectOneToOne(outcome, [exact, { outputTokens: outcome.journal[1]?.deltas ?? 0, estimated: true }])
  })

  it('a client that goes without an abort signal is charged by what was seen', async () => {
    const outcome = await stream({
      script: [{ parts: answering }],
      read: async (result) => {
        const body = result.toUIMessageStreamResponse().body
        const reader = body?.getReader()
        for (let count = 0; count < 20; count++) await reader?.read()
        await reader?.cancel()
      },
    })
    await expectOneToOne(outcome, [{ outputTokens: outcome.journal[0]?.deltas ?? 0, estimated: true }])
  })

  it('a client that goes with an abort signal is settled at once', async () => {
    const controller = new AbortController()
    const outcome = await stream({
      script: [{ parts: answering }],
      context: { abandoned: { policy: 'cancel', idleSeconds: 30 } },
      options: { abortSignal: controller.signal },
      read: async (result) => {
        const body = result.toUIMessageStreamResponse().body
        const reader = body?.getReader()
        for (let count = 0; count < 20; count++) await reader?.read()
        controller.abort()
        await reader?.cancel()
      },
    })
    await expectOneToOne(outcome, [{ outputTokens: outcome.journal[0]?.deltas ?? 0, estimated: true }])
  })

  it('a stream that is left under the policy drain is generated to its end and charged exactly', async () => {
    const outcome = await stream({
      script: [{ parts: answering }],
      context: { abandoned: { policy: 'drain', idleSeconds: 0.1 } },
      read: readParts(20),
    })
    await sleep(10)
    expect(outcome.journal[0]?.outcome).toBe('finished')
    await expectOneToOne(outcome, [exact])
  })

  it('a reader that comes back after a drain finds every part', async () => {
    let text = ''
    const outcome = await stream({
      script: [{ parts: answering }],
      context: { abandoned: { policy: 'drain', idleSeconds: 0.1 } },
      read: async (result) => {
        const reader = result.textStream.getReader()
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          if (text === '') await sleep(400)
          text += part.value
        }
      },
    })
    expect(text).toHaveLength(3 * LENGTH)
    await expectOneToOne(outcome, [exact])
  })

  it('a slow reader does not count as gone', async () => {
    let parts = 0
    const outcome = await stream({
      script: [{ parts: answering }],
      read: async (result) => {
        for await (const _ of result.stream) if (++parts % 50 === 0) await sleep(60)
      },
    })
    await expectOneToOne(outcome, [exact])
  })

  it('a single step that ends in a tool call makes two round trips', async () => {
    const outcome = await stream({ script: [{ parts: looking('a') }], options: { tools }, read: readAll })
    await expectOneToOne(outcome, [exact])
    expect(outcome.trips).toEqual(['reserve', 'settle'])
  })

  it('a tool that outlives the reservation leaves the step before it charged and the next step with a reservation of its own', async () => {
    const slow = { look: tool({ inputSchema: z.object({}), execute: () => sleep(1_500).then(() => 'late') }) }
    const outcome = await stream({
      script: [{ parts: looking('a') }, { parts: answering }],
      context: { ttlSeconds: 2, abandoned: { policy: 'cancel', idleSeconds: 30 } },
      options: { ...loop, tools: slow } as Partial<Options>,
      read: readAll,
    })
    const charges = await outcome.charges()
    expect(charges.map(({ outputTokens }) => outputTokens)).toEqual([LENGTH, LENGTH])
    expect(outcome.trips).toEqual(['reserve', 'settle', 'reserve', 'settle'])
    expect(await reservations(outcome)).toBe('0')
  })

  it('a stream that outlives its reservation prolongs it', async () => {
    let longest = 0
    const outcome = await stream({
      script: [{ parts: answering, delayMs: 6 }],
      context: { ttlSeconds: 2, abandoned: { policy: 'cancel', idleSeconds: 1 } },
      read: async (result) => {
        const start = Date.now()
        for await (const _ of result.stream) longest = Date.now() - start
      },
    })
    expect(longest).toBeGreaterThan(2_500)
    const charges = await outcome.charges()
    expect(charges).toMatchObject([{ late: false, outputTokens: LENGTH }])
    expect(outcome.trips.filter((trip) => trip === 'extend').length).toBeGreaterThan(0)
    expect(await reservations(outcome)).toBe('0')
  })

  it('a reader that comes back after an idle stream was cancelled finds a proper end with the reason', async () => {
    const types: string[] = []
    const outcome = await stream({
      script: [{ parts: answering }],
      read: async (result) => {
        for await (const part of result.stream) {
          types.push(part.type)
          if (types.length === 5) await sleep(400)
        }
        expect(await result.finishReason).toBe('length')
        expect((await settledReceipt(result))?.stopped?.reason).toBe('abandoned')
      },
    })
    expect(types.slice(-3)).toEqual(['text-end', 'finish-step', 'finish'])
    expect(outcome.journal[0]?.outcome).toBe('cancelled')
    expect(await reservations(outcome)).toBe('0')
  })

  it('the low-memory variant is charged exactly when it is read to the end and by what was seen when it is cancelled', async () => {
    const fn = experimental_streamTextLowMemory as unknown as typeof streamText
    await expectOneToOne(await stream({ fn, script: [{ parts: answering }], read: readAll }), [exact])
    const gone = await stream({
      fn,
      script: [{ parts: answering }],
      context: { abandoned: { policy: 'cancel', idleSeconds: 30 } },
      read: readParts(100),
    })
    await expectOneToOne(gone, [{ outputTokens: gone.journal[0]?.deltas ?? 0, estimated: true }])
  })
})

describe('generateText is settled exactly once, however it ends', () => {
  const generate = async (script: Behaviour[], options: object = {}) => {
    const account = testAccount()
    const { model, journal } = provider(script)
    const call = withCredits(generateText, account.context)({ model, prompt: 'Hello', ...options })
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    return { ...account, journal, error }
  }

  it('three tool steps are three charges in four round trips', async () => {
    const outcome = await generate(threeSteps, loop)
    await expectOneToOne(outcome, [exact, exact, exact])
    expect(outcome.trips).toEqual(['reserve', 'capture', 'capture', 'settle'])
  })

  it('the last step that the app allows reserves nothing for another', async () => {
    const outcome = await generate(threeSteps, { tools, stopWhen: isStepCount(2) })
    await expectOneToOne(outcome, [exact, exact])
    expect(outcome.trips).toEqual(['reserve', 'capture', 'settle'])
  })

  it('a rejection in the second step charges the first', async () => {
    const outcome = await generate([{ parts: looking('a') }, { rejects: fatal() }], loop)
    expect(outcome.error).toMatchObject({ statusCode: 400 })
    await expectOneToOne(outcome, [exact])
  })

  it('an abort in the second step charges the first at once and the second when the provider has finished', async () => {
    const controller = new AbortController()
    const begins = () => void setTimeout(() => controller.abort(), 10)
    const outcome = await generate([{ parts: looking('a') }, { parts: answering, delayMs: 100, begins }], {
      ...loop,
      abortSignal: controller.signal,
    })
    expect(await outcome.charges()).toMatchObject([exact])
    await expect.poll(() => outcome.charges()).toMatchObject([exact, exact])
    expect(await reservations(outcome)).toBe('0')
  })

  it('an answer that violates the tool choice is charged though it is thrown', async () => {
    const outcome = await generate([{ parts: answering }], { tools, toolChoice: 'required' })
    await expectOneToOne(outcome, [exact])
  })
})
