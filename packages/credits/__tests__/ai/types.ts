import {
  embed,
  embedMany,
  generateImage,
  generateObject,
  generateSpeech,
  generateText,
  isStepCount,
  Output,
  rerank,
  streamObject,
  streamText,
  ToolLoopAgent,
  tool,
  transcribe,
} from 'ai'
import * as z from 'zod'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'

/** Never run: compiled with the package. A wrapped function is as typed as the bare one, in and out. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>) => undefined

const tools = {
  weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => city.length }),
}
const output = Output.object({ schema: z.object({ name: z.string() }) })
const schema = z.object({ age: z.number() })

export async function typed(context: CreditsContext) {
  const model = 'openai/gpt-5'
  const text = await withCredits(generateText, context)({ model, prompt: 'x', tools, output, stopWhen: isStepCount(3) })
  same<typeof text.output, { name: string }>(true)
  const call = text.toolCalls[0]
  if (call !== undefined && !call.dynamic) same<typeof call.input, { city: string }>(true)
  // @ts-expect-error there is no such field in the output
  text.output.missing

  const stream = await withCredits(streamText, context)({ model, messages: [], tools, output })
  same<Awaited<typeof stream.output>, { name: string }>(true)
  for await (const part of stream.stream) {
    if (part.type === 'tool-result' && !part.dynamic) same<typeof part.output, number>(true)
  }
  // @ts-expect-error a stream needs a prompt
  await withCredits(streamText, context)({ model })

  const object = await withCredits(generateObject, context)({ model, prompt: 'x', schema })
  same<typeof object.object, { age: number }>(true)
  const partial = await withCredits(streamObject, context)({ model, prompt: 'x', schema })
  same<Awaited<typeof partial.object>, { age: number }>(true)

  const { embedding } = await withCredits(embed, context)({ model, value: 'x' })
  same<typeof embedding, number[]>(true)
  const { embeddings } = await withCredits(embedMany, context)({ model, values: ['x'] })
  same<typeof embeddings, number[][]>(true)
  const ranked = await withCredits(rerank, context)({ model, query: 'x', documents: [{ title: 'a' }] })
  same<(typeof ranked.rerankedDocuments)[number], { title: string }>(true)
  await withCredits(generateImage, context)({ model, prompt: 'x' })
  await withCredits(transcribe, context)({ model, audio: new Uint8Array() })
  await withCredits(generateSpeech, context)({ model, text: 'x' })

  const agent = new ToolLoopAgent({ model, tools, output })
  const wrapped = withCredits(agent, context)
  same<typeof wrapped, typeof agent>(true)
  same<Awaited<ReturnType<typeof wrapped.generate>>['output'], { name: string }>(true)
}
