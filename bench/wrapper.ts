/**
 * Wrapped calls beside bare ones, in one run: `pnpm bench wrapper`. The store is in memory, so this is what the
 * wrapper costs the process; the round trips to a database come on top.
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { type CreditsContext, withCredits } from '../packages/credits/src/ai/index.ts'
import { createCredits, memoryStore } from '../packages/credits/src/index.ts'
import type { BenchReport, BenchRow } from './report.ts'

// The library's own copy of the SDK: a peer dependency of its package, not of this folder.
const require = createRequire(new URL('../packages/credits/package.json', import.meta.url))
const { generateText, streamText } = (await import(pathToFileURL(require.resolve('ai')).href)) as typeof import('ai')

type Model = Parameters<typeof generateText>[0]['model'] & object
type Work = () => Promise<unknown>
interface Pair {
  bare: number
  wrapped: number
}
type StreamPart = { type: string } & Record<string, unknown>

const CHUNKS = 1_000
const ROUNDS = 32
const WARM_UP = 4
const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined },
}
const finishReason = { unified: 'stop', raw: 'stop' }
const result = { content: [{ type: 'text', text: 'x' }], finishReason, usage, warnings: [] }
const parts: StreamPart[] = [
  { type: 'stream-start', warnings: [] },
  { type: 'text-start', id: 'a' },
  ...Array.from({ length: CHUNKS }, () => ({ type: 'text-delta', id: 'a', delta: 'word ' })),
  { type: 'text-end', id: 'a' },
  { type: 'finish', finishReason, usage },
]

const modelOf = (answer: readonly StreamPart[]) =>
  ({
    specificationVersion: 'v4',
    provider: 'gateway',
    modelId: 'bench/model',
    supportedUrls: {},
    doGenerate: async () => result,
    doStream: async () => {
      let next = 0
      const pull = (controller: ReadableStreamDefaultController) => {
        const part = answer[next++]
        if (part === undefined) controller.close()
        else controller.enqueue(part)
      }
      return { stream: new ReadableStream({ pull }, { highWaterMark: 0 }) }
    },
  }) as unknown as Model
const model = modelOf(parts)
/** Few chunks: a long stream is called too seldom to warm the code that is run once per call. */
const short = modelOf([...parts.slice(0, 5), ...parts.slice(-2)])

/** More credits than all rounds need, and no more digits than a balance has. */
function endlessContext(): CreditsContext {
  const rate = { modelId: 'bench/model', pricing: { input: '0.000001', output: '0.000002' }, maxOutputTokens: 4096 }
  const store = memoryStore({ rates: [rate], signupCredits: '1000000' })
  const { userId } = store.createAccount()
  return { credits: createCredits({ store }), userId }
}

/**
 * Microseconds of the main thread per run: both sides take turns within a round, and the mean is taken over the half
 * of the rounds with the middle differences, so that neither a busy machine nor one lucky round decides. A mean, and
 * rounds of a tenth of a second and more, because the kernel counts processor time in ticks of some milliseconds: the
 * difference of one single round is a multiple of them.
 */
async function compare(bare: Work, wrapped: Work, runs: number): Promise<Pair> {
  const pairs: Pair[] = []
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const pair = { bare: await spent(bare, runs), wrapped: await spent(wrapped, runs) }
    if (round >= WARM_UP) pairs.push(pair)
  }
  pairs.sort((a, b) => a.wrapped - a.bare - (b.wrapped - b.bare))
  const middle = pairs.slice(ROUNDS / 4, (ROUNDS * 3) / 4)
  const mean = (side: keyof Pair) => middle.reduce((sum, pair) => sum + pair[side], 0) / middle.length
  return { bare: mean('bare'), wrapped: mean('wrapped') }
}

async function spent(work: Work, runs: number): Promise<number> {
  const start = process.threadCpuUsage()
  for (let run = 0; run < runs; run++) await work()
  const { user, system } = process.threadCpuUsage(start)
  return (user + system) / runs
}

/** The goal is absolute where it is given in microseconds: as a ratio it follows from the bare call of this run. */
function row(what: string, { bare, wrapped }: Pair, goal: { added: number } | { ratio: number }, per = 1): BenchRow {
  const [before, after] = [bare / per, wrapped / per]
  const added = after - before
  return {
    what,
    of: 'the bare call',
    ratio: after / before,
    goal: { atMost: 'added' in goal ? 1 + goal.added / before : goal.ratio },
    measured: `bare ${before.toFixed(2)} us, wrapped ${after.toFixed(2)} us, +${added.toFixed(2)} us`,
  }
}

async function drain(stream: ReadableStream<unknown>): Promise<void> {
  const reader = stream.getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read());
}

type DoStream = { doStream: (options: object) => Promise<{ stream: ReadableStream<unknown> }> }

/** Runs all comparisons. */
export async function run(): Promise<BenchReport> {
  return {
    name: 'wrapper',
    rows: await measured(endlessContext()),
    notes: [
      'Processor time of the main thread, use cases and the store in memory included. Goals: 200 us per call, 1 us per',
      'chunk, 8 % of a streamText of 1,000 chunks.',
    ],
  }
}

async function measured(context: CreditsContext): Promise<BenchRow[]> {
  const generate = withCredits(generateText, context)
  const stream = withCredits(streamText, context)
  const metered = withCredits(model as never, context) as unknown as DoStream
  const bare = model as unknown as DoStream
  const prompt = [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }]

  const call = await compare(
    () => generateText({ model, prompt: 'hi' }),
    () => generate({ model, prompt: 'hi' }),
    1_000,
  )
  const chunks = await compare(
    async () => drain((await bare.doStream({ prompt })).stream),
    async () => drain((await metered.doStream({ prompt })).stream),
    100,
  )
  for (let call = 0; call < 3_000; call++) {
    await drain(streamText({ model: short, prompt: 'hi' }).textStream)
    await drain((await stream({ model: short, prompt: 'hi' })).textStream)
  }
  const whole = await compare(
    async () => drain(streamText({ model, prompt: 'hi' }).textStream),
    async () => drain((await stream({ model, prompt: 'hi' })).textStream),
    4,
  )
  return [
    row('generateText', call, { added: 200 }),
    row('each of 1,000 chunks from the model', chunks, { added: 1 }, CHUNKS),
    row('streamText of 1,000 chunks', whole, { ratio: 1.08 }),
  ]
}
