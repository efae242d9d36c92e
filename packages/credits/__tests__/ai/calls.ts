import { readFileSync } from 'node:fs'
import { priceCall } from '../../src/ai/charge/index.ts'
import { estimateCall, seenOutput } from '../../src/ai/estimate/index.ts'
import { providerTools } from '../../src/ai/estimate/language.ts'
import type {
  CallContext,
  CallEstimate,
  CallOutcome,
  CallParams,
  Delivery,
  EstimateInput,
  Modality,
  OutputPart,
  SeenOutput,
} from '../../src/ai/types.ts'
import { type ChargeRecord, createCredits, memoryStore } from '../../src/index.ts'

/** A rate as the seed has it. */
export interface TestRate {
  modelId: string
  type?: string
  pricing: Record<string, unknown>
  maxOutputTokens?: number | null
  contextWindow?: number | null
}

const files = new URL('../../../../supabase/', import.meta.url)
let seeded: ReadonlyMap<string, TestRate> | undefined
let listed: ReadonlyMap<string, TestRate> | undefined

/** A rate of the seed, with the output limit of its model where the seed has none. */
export function seedRate(modelId: string, limits: Partial<TestRate> = {}): TestRate {
  seeded ??= new Map(
    readFileSync(new URL('seed.sql', files), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"modelId":'))
      .map((line) => JSON.parse(line.replace(/,$/, '')) as TestRate)
      .map((rate) => [rate.modelId, rate]),
  )
  const rate = seeded.get(modelId)
  if (rate === undefined) throw new Error(`${modelId} is not in the seed`)
  return { ...rate, ...limits }
}

/** A rate of the gateway's list of 2026-10-07, which does not change. */
export function listedRate(modelId: string): TestRate {
  listed ??= new Map(
    (
      JSON.parse(readFileSync(new URL('rates/gateway-models.json', files), 'utf8')) as {
        data: { id: string; type: string; pricing: Record<string, unknown> }[]
      }
    ).data.map(({ id, type, pricing }) => [id, { modelId: id, type, pricing }]),
  )
  const rate = listed.get(modelId)
  if (rate === undefined) throw new Error(`${modelId} is not in the list`)
  return rate
}

/** Credits over a memory store with these rates, at the seed's margin of 60 percent. */
export function pricedContext(rates: readonly TestRate[], context: Partial<CallContext> = {}): CallContext {
  const store = memoryStore({ rates: rates as never, signupCredits: '1000' })
  const { userId } = store.createAccount()
  return { credits: createCredits({ store }), userId, ...context }
}

type Described = Partial<EstimateInput> & { model: string; context: CallContext }

/** The estimate of a call; a streamed call of a language model unless it says otherwise. */
export async function estimateOf(params: object, input: Described): Promise<CallEstimate> {
  const { context, model } = input
  const { userId, feature } = context
  const pricing = await context.credits.findPricing({ model, feature, userId })
  return estimateCall(params as CallParams, { modality: 'language', delivery: 'stream', pricing, ...input })
}

/** A prompt of one user message. */
export function promptOf(text: string) {
  return [{ role: 'user', content: [{ type: 'text', text }] }]
}

/** What was seen of an answer. */
export function seenParts(parts: readonly object[], context?: CallContext, params: object = {}): SeenOutput {
  const seen = seenOutput(context?.countTokens, providerTools(params as never))
  for (const part of parts) seen.add(part as OutputPart)
  return seen
}

/** The charge of a call whose outcome is given. */
export async function chargeOf(
  input: Described & { params: object; modality?: Modality },
  outcome: Partial<CallOutcome> & { parts?: readonly object[] },
): Promise<ChargeRecord> {
  const { params, context, model, modality = 'language', delivery = 'stream' } = input
  const estimate = await estimateOf(params, input)
  const { parts = [], ...known } = outcome
  return priceCall(
    {
      modality,
      delivery,
      context,
      model,
      params: params as CallParams,
      estimate,
      attempt: 1,
      startedAt: '2026-11-27T12:00:00.000Z',
    },
    {
      result: known.usage === undefined ? undefined : {},
      usage: undefined,
      providerMetadata: undefined,
      response: undefined,
      seen: seenParts(parts, context, params),
      aborted: false,
      generationId: undefined,
      ...known,
    },
  )
}

interface CallableModel {
  doGenerate(params: never): PromiseLike<unknown>
  doStream?(params: never): PromiseLike<{ stream: ReadableStream<unknown> }>
}

/** Calls a model of a real provider package and prices what its own parser makes of the answer. */
export async function chargeOfModel(
  model: CallableModel,
  input: Described & { params?: object; modality?: Modality; delivery?: Delivery },
): Promise<ChargeRecord> {
  const { modality = 'language', delivery = 'whole' } = input
  const params = { prompt: promptOf('Hello'), ...input.params }
  const call = { ...input, params, modality, delivery }
  if (delivery === 'stream' && model.doStream !== undefined) {
    const { stream } = await model.doStream(params as never)
    const parts: Record<string, unknown>[] = []
    for await (const part of stream) parts.push(part as Record<string, unknown>)
    const last = parts.findLast(({ type }) => type === 'finish') ?? {}
    return chargeOf(call, { parts, result: last, usage: last.usage, providerMetadata: last.providerMetadata })
  }
  const result = (await model.doGenerate(params as never)) as Record<string, unknown>
  const parts = Array.isArray(result.content) ? (result.content as object[]) : []
  return chargeOf(call, {
    parts,
    result,
    usage: result.usage,
    providerMetadata: result.providerMetadata,
    response: result.response,
  })
}

/** A `fetch` that answers every request with this JSON. */
export function answering(body: unknown, headers: Record<string, string> = {}): typeof fetch {
  return async () => new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json', ...headers } })
}

/** A `fetch` that answers every request with these server-sent events. */
export function streaming(events: readonly unknown[]): typeof fetch {
  const text = events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('')
  return async () => new Response(text, { headers: { 'content-type': 'text/event-stream' } })
}
