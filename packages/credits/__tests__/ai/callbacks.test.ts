import { generateText, isLoopFinished, registerTelemetry, streamText, type Telemetry, ToolLoopAgent, tool } from 'ai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'
import { type CreditStore, createCredits } from '../../src/index.ts'
import { finish, provider, sleep, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
const loop = { tools: { look }, stopWhen: isLoopFinished() }

/** A context whose store takes its time to settle. */
function slowContext(settleMs: number): CreditsContext {
  const { store, context } = testAccount()
  const slow: CreditStore = { ...store, settle: (input) => sleep(settleMs).then(() => store.settle(input)) }
  return { ...context, credits: createCredits({ store: slow }) }
}

beforeEach(() => {
  globalThis.AI_SDK_TELEMETRY_INTEGRATIONS = []
})
afterEach(() => {
  globalThis.AI_SDK_TELEMETRY_INTEGRATIONS = undefined
})

describe('the callbacks of the app', () => {
  const orderOf = async (wrap: boolean) => {
    const order: string[] = []
    const agent = new ToolLoopAgent({
      model: provider([looking, answer]).model,
      tools: { look },
      onEnd: () => void order.push('settings'),
    })
    const run = wrap ? withCredits(agent, testAccount().context) : agent
    const result = await run.stream({ prompt: 'x', onEnd: () => void order.push('call') })
    await result.consumeStream()
    await settledReceipt(result)
    return order
  }

  it('onEnd of an agent comes before onEnd of the call, as without the wrapper', async () => {
    const bare = await orderOf(false)
    expect(bare).toEqual(['settings', 'call'])
    expect(await orderOf(true)).toEqual(bare)
  })

  const telemetryOrderOf = async (wrap: boolean) => {
    const order: string[] = []
    const integrations = [{ onEnd: () => void order.push('telemetry') } as Telemetry]
    const { context } = testAccount()
    const fn = (wrap ? withCredits(streamText, context) : streamText) as typeof streamText
    const result = await fn({
      model: provider([looking, answer]).model,
      ...loop,
      prompt: 'x',
      telemetry: { integrations },
      onEnd: () => void order.push('app'),
    })
    await result.consumeStream()
    return order
  }

  it('onEnd comes in the same order with telemetry as without the wrapper', async () => {
    expect(await telemetryOrderOf(true)).toEqual(await telemetryOrderOf(false))
  })
})

describe('the settlement', () => {
  it('is no part of the times that the SDK measures for a step', async () => {
    const result = await withCredits(streamText, slowContext(2_000))({ model: provider([answer]).model, prompt: 'x' })
    await result.consumeStream()
    const [step] = await result.steps
    expect(step?.performance.stepTimeMs).toBeLessThan(1_500)
    const whole = await withCredits(generateText, slowContext(2_000))({ model: provider([answer]).model, prompt: 'x' })
    expect(whole.steps[0]?.performance.stepTimeMs).toBeLessThan(1_500)
  })

  it('does not hold back the end of a stream', async () => {
    const result = await withCredits(streamText, slowContext(2_000))({ model: provider([answer]).model, prompt: 'x' })
    const startedAt = Date.now()
    for await (const _ of result.stream);
    expect(Date.now() - startedAt).toBeLessThan(1_500)
    expect(await settledReceipt(result)).toMatchObject({ booked: true, charged: '0.176' })
  })
})

describe('the runtime context of the app', () => {
  /** What an integration sees of it. */
  async function seenContext(telemetry: object) {
    const seen: unknown[] = []
    registerTelemetry({
      onEnd: (event: { runtimeContext?: unknown; metadata?: unknown }) => void seen.push(event),
    } as Telemetry)
    const { context, userId } = testAccount()
    await withCredits(
      generateText,
      context,
    )({
      model: provider([answer]).model,
      prompt: 'x',
      runtimeContext: { credits: 'the app’s own' },
      telemetry,
    } as Parameters<typeof generateText>[0])
    return { event: seen[0] as { runtimeContext?: Record<string, unknown>; metadata?: object }, userId }
  }

  it('keeps its own value named credits in the events of telemetry', async () => {
    const { event, userId } = await seenContext({ includeRuntimeContext: { credits: true } })
    expect(event.runtimeContext).toEqual({ credits: 'the app’s own' })
    expect(event.metadata).toMatchObject({ userId, charged: '0.176' })
  })

  it('gets nothing of credits where the app excludes it', async () => {
    const { event, userId } = await seenContext({ includeRuntimeContext: {} })
    expect(JSON.stringify(event.runtimeContext ?? {})).not.toContain(userId)
  })
})
