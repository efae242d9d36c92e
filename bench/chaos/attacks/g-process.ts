import fc from 'fast-check'
import { calculateCredits } from '../../../packages/credits/src/core/pricing/calculate.ts'
import { estimateCharge } from '../../../packages/credits/src/core/pricing/estimate.ts'
import type { Credits } from '../../../packages/credits/src/credits/types.ts'
import { createCredits } from '../../../packages/credits/src/credits.ts'
import { createCreditsHandlers } from '../../../packages/credits/src/http/handlers.ts'
import { memoryStore } from '../../../packages/credits/src/store/memory/index.ts'
import type { Arena } from '../harness/attack.ts'
import { ask, codeOf, sleep } from '../harness/operations.ts'
import type { Random } from '../harness/random.ts'
import { METHODS, poison, REFUSALS } from './g-values.ts'

/** What stands behind the doors: the library over a store in memory. */
interface House {
  credits: Credits
  handle(request: Request): Promise<Response>
  userId: string
}

interface Knock {
  value: unknown
  other: unknown
  random: Random
  house: House
}

type ProcessDoor = (arena: Arena, knock: Knock) => unknown

// A house remembers everything that was let in: a new one before that slows it down.
const KNOCKS_PER_HOUSE = 5000

/** Doors without a server behind them, and how many of a hundred knocks each one gets. */
export const PROCESS_DOORS: Readonly<Record<string, { share: number; door: ProcessDoor }>> = {
  pricing: { share: 60, door: pricingDoor },
  schema: { share: 35, door: schemaDoor },
  'route handler': { share: 5, door: handlerDoor },
}

/** So many poisoned inputs at the doors of this process. */
export async function knockInProcess(arena: Arena, times: number): Promise<void> {
  const doors = Object.entries(PROCESS_DOORS).flatMap(([name, { share, door }]) => Array(share).fill({ name, door }))
  const random = arena.random.fork('in process')
  for (let done = 0; done < times; done += KNOCKS_PER_HOUSE) {
    // None of these doors waits for anything: let timers and messages through.
    await sleep(0)
    const house = build()
    const numRuns = Math.min(KNOCKS_PER_HOUSE, times - done)
    const values = fc.sample(fc.tuple(poison, poison), { numRuns, seed: random.integer() })
    for (const [index, [value, other]] of values.entries()) {
      const { name, door } = doors[index % doors.length] as { name: string; door: ProcessDoor }
      await door(arena, { value, other, random, house })
      arena.reached(name)
    }
    arena.ran(numRuns)
  }
}

const RATE = { modelId: 'openai/gpt-4o-mini', pricing: { input: '0.00000015', output: '0.0000006' } }

function build(): House {
  const store = memoryStore({ rates: [RATE] })
  const { userId } = store.createAccount()
  const credits = createCredits({ store, retries: 0 })
  const { handle } = createCreditsHandlers({ credits, getUser: () => ({ id: userId, isAdmin: true }) })
  return { credits, handle, userId }
}

const PRICES = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning', 'inputTiers', 'image', 'webSearch']
const USAGE = ['inputTokens', 'outputTokens', 'cachedInputTokens', 'reasoningTokens', 'images', 'searches', 'raw']
const AMOUNT = /^\d+(\.\d{1,6})?$/

/** One field of a rate, a usage or a margin. */
function pricingDoor(arena: Arena, { value, other, random }: Knock): void {
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
    arena.check(AMOUNT.test(credits), `a price of ${credits} with ${where}.${field}`, { value, other })
  } catch (error) {
    arena.check(REFUSALS.test(codeOf(error)), `pricing with ${where}.${field}: ${codeOf(error)}`, { value, error })
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
async function schemaDoor(arena: Arena, { value, other, random, house }: Knock): Promise<void> {
  const method = random.pick(METHODS)
  const honest = {
    userId: house.userId,
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
  const key = random.pick([...Object.keys(honest), ...FIELDS])
  const input = { ...honest, [key]: value, ...(random.chance(0.2) ? { metadata: other } : {}) }
  const answer = await ask(() => (house.credits[method] as (input: unknown) => Promise<unknown>)(input))
  if (answer.ok) return
  arena.check(REFUSALS.test(answer.code), `${method} with ${key}: ${answer.code}`, { value, error: answer.error })
}

const ORIGIN = 'http://localhost'

/** A part of the address, or of the body, of any route. */
async function handlerDoor(arena: Arena, { value, other, random, house }: Knock): Promise<void> {
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
  const { status } = await house.handle(request)
  arena.check(status < 500, `${method} ${path.slice(0, 80)}: ${status}`, { value, other })
}

/** A lone surrogate is no text that an address could carry. */
function wellFormed(value: unknown): string {
  return String(value).toWellFormed().slice(0, 2000)
}
