/** A process that makes one metered model call and is killed on the way; see scenario B4. */
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { withCredits } from '../../packages/credits/src/ai/index.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { postgresStore } from '../../packages/credits/src/store/postgres.ts'
import type { WorkerTask } from './worker-task.ts'

interface Sdk {
  generateText: (options: object) => Promise<unknown>
  streamText: (options: object) => { textStream: AsyncIterable<string> }
}

interface GatewayPackage {
  createGateway: (options: { baseURL: string; apiKey: string; fetch: typeof fetch }) => (model: string) => object
}

// The versions of the SDK that the library itself is tested with.
const ofLibrary = createRequire(new URL('../../packages/credits/package.json', import.meta.url))
const { generateText, streamText } = ofLibrary('ai') as Sdk
const { createGateway } = ofLibrary('@ai-sdk/gateway') as GatewayPackage

await makeCall(JSON.parse(process.argv[2] ?? '{}') as WorkerTask)

async function makeCall(task: WorkerTask): Promise<void> {
  if (task.killAfterMs !== undefined) void sleep(task.killAfterMs).then(crash)
  const pool = new pg.Pool({ connectionString: task.dbUrl, max: 2, options: '-c role=service_role' })
  const credits = createCredits({ store: storeWithFailpoints(postgresStore(pool), task) })
  const gateway = createGateway({
    baseURL: task.gatewayUrl,
    apiKey: task.gatewayApiKey,
    fetch: fetchWithFailpoints(task),
  })
  const call = {
    model: gateway('openai/gpt-4o-mini'),
    prompt: 'Say something. [dev: tokens=30 delay=3]',
    maxOutputTokens: 200,
    providerOptions: { gateway: { user: task.callId } },
  }
  const context = { credits, userId: task.userId, feature: task.callId }
  if (task.failpoint === 'mid-stream' || task.killAfterMs !== undefined) {
    const { textStream } = await withCredits(streamText, context)(call)
    let parts = 0
    for await (const _ of textStream) {
      parts += 1
      if (task.failpoint === 'mid-stream' && parts === 10) crash()
    }
  } else {
    await withCredits(generateText, context)(call)
  }
  await pool.end()
}

/** No handler runs, nothing is flushed. */
function crash(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}

function storeWithFailpoints(store: CreditStore, { failpoint }: WorkerTask): CreditStore {
  return {
    ...store,
    reserve: async (input) => {
      const result = await store.reserve(input)
      if (failpoint === 'after-reserve') crash()
      return result
    },
    settle: async (input) => {
      if (failpoint === 'before-settle') crash()
      const result = await store.settle(input)
      if (failpoint === 'after-settle') crash()
      return result
    },
  }
}

function fetchWithFailpoints({ failpoint }: WorkerTask): typeof fetch {
  return async (input, init) => {
    if (failpoint === 'before-provider') crash()
    const answer = await fetch(input, init)
    if (failpoint === 'after-provider') crash()
    return answer
  }
}
