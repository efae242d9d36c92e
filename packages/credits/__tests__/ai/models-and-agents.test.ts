import { generateText, streamText, ToolLoopAgent, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { finish, provider, textParts, toolCall } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)] }
const looking = { parts: [...textParts(500), toolCall('a', 'look'), finish('tool-calls' as const, 100, 500)] }
const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })

/** A model as the packages of providers have them: a class with private members, accessors and statics. */
class ClassModel {
  static readonly WORKFLOW_SERIALIZE = 'serialize'
  static create() {
    return new ClassModel()
  }
  readonly specificationVersion = 'v4'
  readonly provider = 'gateway'
  readonly modelId = 'openai/gpt-test'
  readonly #inner = provider([answer])
  #region = 'eu'
  get region() {
    return this.#region
  }
  set region(value: string) {
    this.#region = value
  }
  get calls() {
    return this.#inner.journal.length
  }
  doGenerate(options: never) {
    return this.#inner.model.doGenerate(options)
  }
  doStream(options: never) {
    return this.#inner.model.doStream(options)
  }
  describe() {
    return `${this.modelId} in ${this.#region}`
  }
}

describe('a metered model', () => {
  it('may be frozen', async () => {
    const { context, charges } = testAccount()
    const frozen = Object.freeze({ ...plain() })
    const model = withCredits(frozen, context)
    expect((await generateText({ model: model as never, prompt: 'x' })).text).toHaveLength(1500)
    expect(await charges()).toHaveLength(1)
  })

  it('keeps setters, private members and methods of its class', async () => {
    const { context, charges } = testAccount()
    const bare = new ClassModel()
    const model = withCredits(bare, context)
    model.region = 'us'
    expect(bare.region).toBe('us')
    expect(model.region).toBe('us')
    expect(model.describe()).toBe('openai/gpt-test in us')
    await generateText({ model: model as never, prompt: 'x' })
    expect(model.calls).toBe(1)
    expect(await charges()).toHaveLength(1)
  })

  it('keeps its class with its statics', () => {
    const { context } = testAccount()
    const model = withCredits(new ClassModel(), context)
    expect(model).toBeInstanceOf(ClassModel)
    expect(model.constructor).toBe(ClassModel)
    expect((model.constructor as typeof ClassModel).WORKFLOW_SERIALIZE).toBe('serialize')
    expect(Object.getPrototypeOf(model)).toBe(ClassModel.prototype)
  })

  it('shows its own members to those who list them', () => {
    const { context } = testAccount()
    const bare = new ClassModel()
    const model = withCredits(bare, context)
    expect(Object.keys(model)).toEqual(Object.keys(bare))
    expect({ ...model }).toMatchObject({ provider: 'gateway', modelId: 'openai/gpt-test' })
    expect('doStream' in model).toBe(true)
    expect('doEmbed' in model).toBe(false)
    expect(model.doGenerate).toBe(model.doGenerate)
  })

  it('uses a method that was replaced later', async () => {
    const { context, charges } = testAccount()
    const bare = { ...plain() }
    const model = withCredits(bare, context)
    await generateText({ model: model as never, prompt: 'x' })
    const other = provider([answer])
    bare.doGenerate = other.model.doGenerate as never
    await generateText({ model: model as never, prompt: 'x' })
    expect(other.journal).toHaveLength(1)
    expect(await charges()).toHaveLength(2)
  })

  it('is settled with each of its calls', async () => {
    const { context, trips } = testAccount()
    const model = withCredits(new ClassModel(), context) as never
    await generateText({ model, prompt: 'x' })
    await streamText({ model, prompt: 'x' }).consumeStream()
    await expect.poll(() => trips).toEqual(['reserve', 'settle', 'reserve', 'settle'])
  })
})

function plain() {
  const { model } = provider([answer])
  return {
    specificationVersion: 'v4' as const,
    provider: 'gateway',
    modelId: 'openai/gpt-test',
    supportedUrls: {},
    doGenerate: (options: never) => model.doGenerate(options),
    doStream: (options: never) => model.doStream(options),
  }
}

/** An agent as an app may derive one. */
class CountingAgent extends ToolLoopAgent<never, { look: typeof look }> {
  #secret = 'kept'
  runs = 0
  override async generate(options: Parameters<ToolLoopAgent<never, { look: typeof look }>['generate']>[0]) {
    this.runs++
    if (this.#secret !== 'kept') throw new Error('lost')
    return super.generate(options)
  }
  get secret() {
    return this.#secret
  }
}

describe('an agent of a derived class', () => {
  it('keeps its private members and what its methods count', async () => {
    const { context, charges, trips } = testAccount()
    const agent = new CountingAgent({ model: provider([looking, answer]).model, tools: { look } })
    const wrapped = withCredits(agent, context)
    const result = await wrapped.generate({ prompt: 'x' })
    expect(result.steps).toHaveLength(2)
    expect(agent.runs).toBe(1)
    expect(wrapped.secret).toBe('kept')
    expect(await charges()).toHaveLength(2)
    expect(trips).toEqual(['reserve', 'capture', 'settle'])
    expect(creditsReceipt(result)).toMatchObject({ charged: '0.352', providerCalls: 2 })
  })

  it('is not metered when it is called bare, before, between and after wrapped calls', async () => {
    const { context, charges } = testAccount()
    const agent = new CountingAgent({ model: provider([answer]).model })
    await agent.generate({ prompt: 'x' })
    await withCredits(agent, context).generate({ prompt: 'x' })
    await agent.generate({ prompt: 'x' })
    expect(agent.runs).toBe(3)
    expect(await charges()).toHaveLength(1)
  })

  it('runs for two users side by side, each paying for one', async () => {
    const one = testAccount()
    const two = testAccount()
    const agent = new CountingAgent({ model: provider([answer]).model })
    await Promise.all([one, two].map(({ context }) => withCredits(agent, context).generate({ prompt: 'x' })))
    expect(await one.charges()).toHaveLength(1)
    expect(await two.charges()).toHaveLength(1)
  })

  it('that calls itself in a tool shares the reservation', async () => {
    const { context, charges, trips } = testAccount()
    const { model } = provider([looking, answer, answer])
    const again = tool({
      inputSchema: z.object({}),
      execute: async (): Promise<string> => (await wrapped.generate({ prompt: 'inside' })).text.slice(0, 5),
    })
    const agent = new ToolLoopAgent({ model, tools: { look: again } })
    const wrapped: typeof agent = withCredits(agent, context)
    const result = await wrapped.generate({ prompt: 'x' })
    expect(result.steps).toHaveLength(2)
    expect(await charges()).toHaveLength(3)
    expect(trips.filter((trip) => trip === 'reserve')).toHaveLength(1)
  })

  it('reserves for what its own prepareCall makes of the call', async () => {
    const { context, charges } = testAccount({
      rates: [{ modelId: 'openai/dear', pricing: { input: '0.00001', output: '0.00002' } }],
    })
    const dear = provider([answer], 'openai/dear')
    const agent = new ToolLoopAgent({
      model: provider([answer]).model,
      prepareCall: (options) => ({ ...options, model: dear.model }),
    })
    const result = await withCredits(agent, context).stream({ prompt: 'x' })
    await result.consumeStream()
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ model: 'openai/dear', amount: '-1.76' }])
  })
})
