import {
  type Experimental_ExtractionModel,
  embed,
  embedMany,
  experimental_decide,
  experimental_extract,
  experimental_generateVideo,
  experimental_startVideo,
  experimental_streamLanguageModelCall,
  experimental_streamSpeech,
  experimental_streamTextLowMemory,
  experimental_streamTranscribe,
  experimental_streamTranslate,
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

/** The same options in, the same result out, now to be awaited. */
type Awaitable<Fn extends (...args: never) => unknown> = (...args: Parameters<Fn>) => Promise<Awaited<ReturnType<Fn>>>

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
  const { image } = await withCredits(generateImage, context)({ model, prompt: 'x' })
  same<typeof image.base64, string>(true)
  const transcript = await withCredits(transcribe, context)({ model, audio: new Uint8Array() })
  same<typeof transcript.text, string>(true)
  await withCredits(generateSpeech, context)({ model, text: 'x' })

  const lean = await withCredits(experimental_streamTextLowMemory, context)({ model, messages: [], tools })
  for await (const part of lean.stream) {
    if (part.type === 'tool-result' && !part.dynamic) same<typeof part.output, number>(true)
  }
  const raw = await withCredits(experimental_streamLanguageModelCall, context)({ model, prompt: 'x', tools })
  for await (const part of raw.stream) {
    if (part.type === 'tool-call' && !part.dynamic) same<typeof part.input, { city: string }>(true)
  }
  const speak = withCredits(experimental_streamSpeech, context)
  same<typeof speak, Awaitable<typeof experimental_streamSpeech>>(true)
  const listen = withCredits(experimental_streamTranscribe, context)
  same<typeof listen, Awaitable<typeof experimental_streamTranscribe>>(true)
  const translate = withCredits(experimental_streamTranslate, context)
  same<typeof translate, Awaitable<typeof experimental_streamTranslate>>(true)
  const video = withCredits(experimental_generateVideo, context)
  same<typeof video, Awaitable<typeof experimental_generateVideo>>(true)
  const start = withCredits(experimental_startVideo, context)
  same<typeof start, Awaitable<typeof experimental_startVideo>>(true)
  const questions = { ok: { type: 'boolean', instructions: 'Is it?' } } as const
  const { answers } = await withCredits(experimental_decide, context)({ model, state: 'x', questions })
  same<typeof answers.ok, { type: 'boolean'; probability: number }>(true)
  const fields = { age: { type: 'number', description: 'How old?' } } as const
  const options = { model: {} as Experimental_ExtractionModel, state: 'x', fields }
  const extracted = await withCredits(experimental_extract, context)(options)
  same<typeof extracted.answers.age.value, number | null>(true)

  const agent = new ToolLoopAgent({ model, tools, output })
  const wrapped = withCredits(agent, context)
  same<typeof wrapped, typeof agent>(true)
  same<Awaited<ReturnType<typeof wrapped.generate>>['output'], { name: string }>(true)
}
