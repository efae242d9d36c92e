import fc from 'fast-check'
import { calculateCredits } from '../../packages/credits/src/core/pricing/calculate.ts'
import { estimateCharge } from '../../packages/credits/src/core/pricing/estimate.ts'
import type { Credits } from '../../packages/credits/src/credits/types.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import { createCreditsHandlers } from '../../packages/credits/src/http/router.ts'
import { memoryStore } from '../../packages/credits/src/store/memory/index.ts'
import type { ScenarioContext } from '../runner/scenario.ts'
import { attempt, codeOf, sleep } from '../workload/operations.ts'
import type { Random } from '../workload/random.ts'
import { METHODS, malformedValue, REFUSALS } from './malformed-values.ts'

/** The library over a store in memory. */
interface Library {
  credits: Credits
  handle(request: Request): Promise<Response>
  userId: string
}

interface Input {
  value: unknown
  other: unknown
  random: Random
  library: Library
}

type Entry = (context: ScenarioContext, input: Input) => unknown

// The store keeps everything that was accepted: a new one before that makes it slow.
const INPUTS_PER_LIBRARY = 5000

/** Entries without a server behind them, and how many of a hundred inputs each one gets. */
export const PROCESS_ENTRIES: Readonly<Record<string, { share: number; send: Entry }>> = {
  pricing: { share: 60, send: priceUsage },
  schema: { share: 35, send: callLibrary },
  'route handler': { share: 5, send: requestRoute },
}

/** Sends malformed inputs to the entries of this process. */
export async function sendInProcess(context: ScenarioContext, times: number): Promise<void> {
  const entries = Object.entries(PROCESS_ENTRIES).flatMap(([name, { share, send }]) =>
    Array(share).fill({ name, send }),
  )
  const random = context.random.fork('in process')
  for (let done = 0; done < times; done += INPUTS_PER_LIBRARY) {
    // None of these entries waits for anything: timers and messages need a turn.
    await sleep(0)
    const library = createLibrary()
    const numRuns = Math.min(INPUTS_PER_LIBRARY, times - done)
    const values = fc.sample(fc.tuple(malformedValue, malformedValue), { numRuns, seed: random.integer() })
    for (const [index, [value, other]] of values.entries()) {
      const { name, send } = entries[index % entries.length] as { name: string; send: Entry }
      await send(context, { value, other, random, library })
      context.countFault(name)
    }
    context.countRuns(numRuns)
  }
}

const RATE = { modelId: 'openai/gpt-4o-mini', pricing: { input: '0.00000015', output: '0.0000006' } }

function createLibrary(): Library {
  const store = memoryStore({ rates: [RATE] })
  const { userId } = store.createAccount()
  const credits = createCredits({ store })
  const { handle } = createCreditsHandlers({ credits, getUser: () => ({ id: userId, isAdmin: true }) })
  return { credits, handle, userId }
}

const PRICES = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning', 'inputTiers', 'image', 'webSearch']
const USAGE = ['inputTokens', 'outputTokens', 'cachedInputTokens', 'reasoningTokens', 'images', 'searches', 'raw']
const AMOUNT = /^\d+(\.\d{1,6})?$/

/** One field of a rate, a usage or a margin. */
function priceUsage(context: ScenarioContext, { value, other, random }: Input): void {
  const usage: Record<string, unknown> = { inputTokens: 10, outputTokens: 5 }
  const rate: Record<string, unknown> = { input: '0.000001', output: '0.000002' }
  const options: Record<string, unknown> = { rate, marginPercent: '60' }
  const where = random.pick(['usage', 'rate', 'options'] as const)
  const field = random.pick({ usage: USAGE, rate: PRICES, options: ['rate', 'marginPercent'] }[where])
  const target = { usage, rate, options }[where]
  target[field] = value
  if (random.chance(0.2)) usage[random.pick(USAGE)] = other
  const estimating = random.chance(0.3)
  try {
    const { credits } = estimating
      ? estimateCharge({ ...options, ...usage, usage: {} } as never)
      : calculateCredits(usage as never, options as never)
    context.check(AMOUNT.test(credits), `a price of ${credits} with ${where}.${field}`, { value, other })
  } catch (error) {
    context.check(REFUSALS.test(codeOf(error)), `pricing with ${where}.${field}: ${codeOf(error)}`, { value, error })
  }
}

const FIELDS = [
  'minimumAmount',
  'ttlSeconds',
  'metadata',
  'feature',
  'limit',
  'cursor',
  'from',
  'to',
  'expectedVersion',
]

/** One field of the input of any call of the library. */
async function callLibrary(context: ScenarioContext, { value, other, random, library }: Input): Promise<void> {
  const method = random.pick(METHODS)
  const valid = {
    userId: library.userId,
    reservationId: random.uuid(),
    transactionId: random.uuid(),
    amount: '0.001',
    reason: 'x',
    source: 'promo',
    model: RATE.modelId,
    usage: { inputTokens: 1 },
    scope: 'model',
    target: 'm',
    marginPercent: '5',
  }
  const key = random.pick([...Object.keys(valid), ...FIELDS])
  const input = { ...valid, [key]: value, ...(random.chance(0.2) ? { metadata: other } : {}) }
  const answer = await attempt(() => (library.credits[method] as (input: unknown) => Promise<unknown>)(input))
  if (answer.ok) return
  context.check(REFUSALS.test(answer.code), `${method} with ${key}: ${answer.code}`, { value, error: answer.error })
}

const ORIGIN = 'http://localhost'

/** A part of the address or of the body of any route. */
async function requestRoute(context: ScenarioContext, { value, other, random, library }: Input): Promise<void> {
  const text = encodeURIComponent(wellFormed(value))
  const query = random.pick(['limit', 'cursor', 'type', 'from', 'to', 'scope', 'marginPercent', 'target', 'at'])
  const path = random.pick([
    `/api/credits/history?${query}=${text}`,
    `/api/admin/credits/audit?${query}=${text}`,
    `/api/admin/credits/rates?${query}=${text}`,
    `/api/admin/credits/report?${query}=${text}`,
    `/api/admin/credits/what-if?${query}=${text}`,
    `/api/admin/credits/margins`,
    `/api/admin/credits/margins/${text}?scope=model`,
    `/api/${text}`,
  ])
  const method = random.pick(['GET', 'PUT', 'DELETE'])
  const { body } = random.pick([
    { body: { marginPercent: value } },
    { body: { marginPercent: '5', reason: value } },
    { body: { marginPercent: 5, expectedVersion: value } },
    { body: other },
  ])
  const request = new Request(`${ORIGIN}${path}`, {
    method,
    headers: { origin: ORIGIN, 'content-type': 'application/json' },
    ...(method === 'PUT' ? { body: JSON.stringify(body) ?? '' } : {}),
  })
  const { status } = await library.handle(request)
  context.check(status < 500, `${method} ${path.slice(0, 80)}: ${status}`, { value, other })
}

/** An address cannot contain a lone surrogate. */
function wellFormed(value: unknown): string {
  return String(value).toWellFormed().slice(0, 2000)
}
