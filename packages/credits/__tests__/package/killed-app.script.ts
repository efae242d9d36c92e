import { createGateway } from '@ai-sdk/gateway'
import { generateText, isStepCount, streamText, tool } from 'ai'
import pg from 'pg'
import * as z from 'zod'
import { withCredits } from '../../src/ai/index.ts'
import { createCredits } from '../../src/index.ts'
import { postgresStore } from '../../src/store/postgres.ts'

/**
 * Run by reconcile.test.ts as a process of its own: an app that is killed at the worst moment of a model call.
 * `killed-app.script.ts <user id> <model> <how>`
 */
const [userId = '', modelId = '', how = ''] = process.argv.slice(2)
const die = (): never => {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}

const store = postgresStore(new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 2 }))
const gateway = createGateway({
  baseURL: process.env.AI_GATEWAY_BASE_URL ?? '',
  apiKey: process.env.AI_GATEWAY_API_KEY ?? '',
})
const credits = createCredits({ store: how === 'before-settle' ? { ...store, settle: die } : store })
const context = { credits, userId, ttlSeconds: 2 }
const model = gateway(modelId)
const prompt = (more: string) => `[dev: input=2000 tokens=1000${more}] Tell me about honey.`

if (how === 'before-settle') await withCredits(generateText, context)({ model, prompt: prompt('') })

if (how === 'in-a-stream') {
  const { textStream } = await withCredits(streamText, context)({ model, prompt: prompt('') })
  for await (const _ of textStream) die()
}

if (how === 'after-a-step') {
  let calls = 0
  const look = tool({ inputSchema: z.object({}), execute: async () => 'seen' })
  await withCredits(
    generateText,
    context,
  )({
    model,
    prompt: prompt(' tool=look({})'),
    tools: { look },
    stopWhen: isStepCount(3),
    // The first step is charged on the way to the second. The process ends when the second has answered.
    onStepEnd: () => void (++calls === 2 && die()),
  })
}
