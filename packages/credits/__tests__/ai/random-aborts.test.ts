import { createGateway, type GatewayProvider } from '@ai-sdk/gateway'
import { type Stack, startStack } from '@layers/local-stack'
import { generateText, streamText, tool } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as z from 'zod'
import { type CreditsContext, type CreditsReceipt, reconcileEstimates, withCredits } from '../../src/ai/index.ts'
import { creditsOfUsd } from '../../src/core/money.ts'
import { type Credits, createCredits } from '../../src/index.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { openPool, signUp } from '../store/sql-harness.ts'
import { sleep } from './scripted-model.ts'

/** `CREDITS_ABORTS=500` for the figure of the docs. */
const ABORTS = Number(process.env.CREDITS_ABORTS ?? 60)
const SIDE_BY_SIDE = 10

const MODELS = ['openai/gpt-5', 'anthropic/claude-sonnet-4.5', 'google/gemini-2.5-flash', 'openai/gpt-4o-mini']
const TEXTS = [
  'The quick brown fox jumps over the lazy dog. ',
  '天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。',
  'いろはにほへと ちりぬるを わかよたれそ つねならむ。',
  '동해 물과 백두산이 마르고 닳도록 하느님이 보우하사. ',
]
const SCENARIOS = ['', 'reasoning=400', 'reasoning=1500', 'nousage', 'nocost', 'tool=look({})']

interface JournalEntry {
  user: string | null
  cost: string | null
  outcome: string
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

let stack: Stack
let admin: pg.Pool
let pool: pg.Pool
let credits: Credits
let gateway: GatewayProvider

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl, 5)
  pool = openPool(stack.dbUrl, 10)
  credits = createCredits({ store: postgresStore(pool) })
  gateway = createGateway({ baseURL: stack.gatewayUrl, apiKey: stack.gatewayApiKey })
  await credits.pricing()
})
afterAll(async () => {
  await pool?.end()
  await admin?.end()
  await stack?.stop()
})

const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })

/** One call of a user of its own that is aborted at a random moment. */
async function abortedCall(seed: number): Promise<string> {
  const random = randomFrom(seed)
  const pick = <Value>(list: readonly Value[]) => list[Math.floor(random() * list.length)] as Value
  const userId = await signUp(admin)
  await credits.grant({ userId, amount: '1000', source: 'promo', idempotencyKey: 'abort' })
  const settled = Promise.withResolvers<CreditsReceipt>()
  const context: CreditsContext = {
    credits,
    userId,
    onSettled: settled.resolve,
    onError: (error) => settled.reject(error),
  }
  const controller = new AbortController()
  const tokens = Math.floor(50 + random() * 2_000)
  const prompt = `${pick(TEXTS).repeat(Math.ceil(random() * 40))} [dev: tokens=${tokens} delay=0 ${pick(SCENARIOS)}]`
  const options = {
    model: gateway(pick(MODELS)),
    prompt,
    tools: { look },
    abortSignal: controller.signal,
    providerOptions: { gateway: { user: userId } },
    onError: () => undefined,
  }
  const isStream = random() < 0.75
  const seen = Math.floor(random() * tokens)
  if (isStream) await abortedStream(withCredits(streamText, context), options, controller, seen)
  else {
    setTimeout(() => controller.abort(), random() * 40)
    await withCredits(generateText, context)(options).catch(() => undefined)
  }
  await settled.promise
  return userId
}

async function abortedStream(
  stream: ReturnType<typeof withCredits<Parameters<typeof streamText>, ReturnType<typeof streamText>>>,
  options: Parameters<typeof streamText>[0],
  controller: AbortController,
  seen: number,
): Promise<void> {
  try {
    let parts = 0
    const result = await stream(options)
    for await (const _ of result.textStream) if (++parts >= seen) controller.abort()
    controller.abort()
  } catch {
    // Aborted.
  }
}

async function journalByUser(): Promise<Map<string, JournalEntry[]>> {
  const byUser = new Map<string, JournalEntry[]>()
  for (;;) {
    const response = await fetch(`${stack.gatewayUrl}/_dev/journal`)
    const { entries } = (await response.json()) as { entries: JournalEntry[] }
    // The gateway hears of an abort a little later than the caller.
    if (entries.some(({ outcome }) => outcome === 'running')) {
      await sleep(50)
      continue
    }
    for (const entry of entries) byUser.set(entry.user ?? '', [...(byUser.get(entry.user ?? '') ?? []), entry])
    return byUser
  }
}

/** Credits of all charges of a user, uncollected ones included. */
async function chargedTo(userId: string): Promise<number> {
  const { data } = await credits.getHistory({ userId, limit: 200 })
  const own = data.filter(({ type }) => type === 'usage' || type === 'refund')
  return own.reduce((sum, { amount, uncollected }) => sum - Number(amount) + Number(uncollected), 0)
}

it(
  `${ABORTS} calls that are aborted at random pay within 2 % what the gateway bills, and none less than 90 %`,
  async ({ annotate }) => {
    const userIds: string[] = []
    for (let seed = 1; seed <= ABORTS; seed += SIDE_BY_SIDE) {
      const seeds = Array.from({ length: Math.min(SIDE_BY_SIDE, ABORTS - seed + 1) }, (_, place) => seed + place)
      userIds.push(...(await Promise.all(seeds.map(abortedCall))))
    }
    const journal = await journalByUser()
    const results = await reconcileEstimates({
      credits,
      getGenerationInfo: (input) => gateway.getGenerationInfo(input),
    })
    expect(results.filter(({ outcome }) => outcome === 'failed')).toEqual([])

    let [charged, billed] = [0, 0]
    const tooLow: object[] = []
    for (const userId of userIds) {
      const calls = journal.get(userId) ?? []
      const bill = calls.reduce((sum, { cost }) => sum + Number(worth(cost)), 0)
      const paid = await chargedTo(userId)
      charged += paid
      billed += bill
      if (paid < bill * 0.9) tooLow.push({ place: userIds.indexOf(userId) + 1, paid, bill, calls })
    }
    const figures = `charged ${charged.toFixed(2)}, billed ${billed.toFixed(2)} credits`
    await annotate(`${ABORTS} aborts: ${figures}, ${results.length} corrected`)
    expect(tooLow).toEqual([])
    expect(charged / billed).toBeGreaterThan(0.98)
    expect(charged / billed).toBeLessThan(1.02)
  },
  ABORTS * 2_000 + 60_000,
)

function worth(costUsd: string | null): string {
  return creditsOfUsd({ costUsd: costUsd ?? '0', marginPercent: '60' }).credits
}
