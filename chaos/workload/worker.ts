/** A process of its own that makes one metered model call and is killed on the way; see attack B4. */
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { withCredits } from '../../packages/credits/src/ai/index.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import type { WorkerOrder } from './worker-task.ts'

interface Sdk {
  generateText: (options: object) => Promise<unknown>
  streamText: (options: object) => { textStream: AsyncIterable<string> }
}

interface GatewayPackage {
  createGateway: (options: { baseURL: string; apiKey: string; fetch: typeof fetch }) => (model: string) => object
}

// The SDK that the library itself is tested with: bench has no dependencies of its own.
const ofLibrary = createRequire(new URL('../../packages/credits/package.json', import.meta.url))
const { generateText, streamText } = ofLibrary('ai') as Sdk
const { createGateway } = ofLibrary('@ai-sdk/gateway') as GatewayPackage

await work(JSON.parse(process.argv[2] ?? '{}') as WorkerOrder)

async function work(order: WorkerOrder): Promise<void> {
  if (order.dieAfterMs !== undefined) void sleep(order.dieAfterMs).then(die)
  const pool = new pg.Pool({ connectionString: order.dbUrl, max: 2, options: '-c role=service_role' })
  const credits = createCredits({ store: mortal(postgresStore(pool), order) })
  const gateway = createGateway({ baseURL: order.gatewayUrl, apiKey: order.gatewayApiKey, fetch: mortalFetch(order) })
  const call = {
    model: gateway('openai/gpt-4o-mini'),
    prompt: 'Say something. [dev: tokens=30 delay=3]',
    maxOutputTokens: 200,
    providerOptions: { gateway: { user: order.callId } },
  }
  const context = { credits, userId: order.userId, feature: order.callId }
  if (order.failpoint === 'mid-stream' || order.dieAfterMs !== undefined) {
    const { textStream } = await withCredits(streamText, context)(call)
    let parts = 0
    for await (const _ of textStream) {
      parts += 1
      if (order.failpoint === 'mid-stream' && parts === 10) die()
    }
  } else {
    await withCredits(generateText, context)(call)
  }
  await pool.end()
}

/** As a crash does: no handler runs, nothing is flushed. */
function die(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}

function mortal(store: CreditStore, { failpoint }: WorkerOrder): CreditStore {
  return {
    ...store,
    reserve: async (input) => {
      const result = await store.reserve(input)
      if (failpoint === 'after-reserve') die()
      return result
    },
    settle: async (input) => {
      if (failpoint === 'before-settle') die()
      const result = await store.settle(input)
      if (failpoint === 'after-settle') die()
      return result
    },
  }
}

function mortalFetch({ failpoint }: WorkerOrder): typeof fetch {
  return async (input, init) => {
    if (failpoint === 'before-provider') die()
    const answer = await fetch(input, init)
    if (failpoint === 'after-provider') die()
    return answer
  }
}
