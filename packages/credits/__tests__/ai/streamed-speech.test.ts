import { experimental_streamSpeech, experimental_streamTranscribe, experimental_streamTranslate } from 'ai'
import { describe, expect, it } from 'vitest'
import { type CreditsContext, withCredits } from '../../src/ai/index.ts'
import { type Live, liveModel, producer } from './live-model.ts'
import { fatal, retryable, sleep } from './scripted-model.ts'
import { settledReceipt, testAccount } from './test-account.ts'

// 0.0024 credits a character, 0.016 a second, at 60 % margin.
const rates = [
  { modelId: 'openai/speech', type: 'speech', pricing: { speech_input_character_cost: '0.000015' } },
  { modelId: 'openai/speech-by-token', type: 'speech', pricing: { input: '0.000001', output: '0.00001' } },
  { modelId: 'openai/whisper', type: 'transcription', pricing: { transcription_duration_cost_per_second: '0.0001' } },
  {
    modelId: 'openai/translate',
    type: 'translation',
    pricing: {
      input: '0.000001',
      output: '0.000002',
      audio_input_token_cost: '0.00001',
      audio_output_token_cost: '0.00002',
    },
  },
]
const world = (available = '1000', context: Partial<CreditsContext> = {}) => testAccount({ rates, available, context })
const soonIdle: Partial<CreditsContext> = { abandoned: { policy: 'cancel', idleSeconds: 0.2 } }

type SpeechOptions = Parameters<typeof experimental_streamSpeech>[0]
type TranscribeOptions = Parameters<typeof experimental_streamTranscribe>[0]
type TranslateOptions = Parameters<typeof experimental_streamTranslate>[0]

async function readAll(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of stream) count++
  return count
}

async function speak(
  live: Live,
  options: Partial<SpeechOptions>,
  setting: { available?: string; modelId?: string; context?: Partial<CreditsContext> } = {},
) {
  const { available, modelId = 'openai/speech', context = {} } = setting
  const books = world(available, context)
  const { model, journal } = liveModel(modelId, 'text', live)
  const call = { model, text: 'x'.repeat(100), onError: () => undefined, ...options } as unknown as SpeechOptions
  const result = withCredits(experimental_streamSpeech, books.context)(call)
  return { ...books, journal, result: await result }
}

describe('streamed speech', () => {
  it('of a text that is complete is reserved for and charged by its characters in two round trips', async () => {
    const { result, trips, charges, balance } = await speak(
      { ends: () => ({ type: 'finish', usage: { inputCharacters: 100 } }) },
      {},
    )
    expect(trips).toEqual(['reserve'])
    expect(await readAll(result.audioStream)).toBe(1)
    expect(await settledReceipt(result)).toMatchObject({ charged: '0.24', closed: true, estimated: false })
    expect(trips).toEqual(['reserve', 'settle'])
    expect(await charges()).toMatchObject([{ amount: '-0.24', model: 'openai/speech', estimated: false }])
    expect((await balance()).reserved).toBe('0')
  })

  it('is refused before the provider is called', async () => {
    const { context, trips } = world('0.1')
    const { model, journal } = liveModel('openai/speech', 'text')
    const call = { model, text: 'x'.repeat(100) } as unknown as SpeechOptions
    await expect(withCredits(experimental_streamSpeech, context)(call)).rejects.toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      details: { required: '0.24' },
    })
    expect(journal.calls).toBe(0)
    expect(trips).toEqual(['reserve'])
  })

  it('is charged by what the provider has read when it counts nothing', async () => {
    const { result, charges } = await speak({}, { text: ['a'.repeat(30), { type: 'text', text: 'b'.repeat(12) }] })
    await readAll(result.fullStream)
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ amount: '-0.1008', estimated: false }])
  })

  it('is charged by tokens where the rate prices tokens, counted or not', async () => {
    const usage = { inputTokens: 25, outputTokens: 130 }
    const counted = await speak({ ends: () => ({ type: 'finish', usage }) }, {}, { modelId: 'openai/speech-by-token' })
    await readAll(counted.result.audioStream)
    await settledReceipt(counted.result)
    expect(await counted.charges()).toMatchObject([{ amount: '-0.212', outputTokens: 130, estimated: false }])
    const uncounted = await speak({}, {}, { modelId: 'openai/speech-by-token' })
    await readAll(uncounted.result.audioStream)
    await settledReceipt(uncounted.result)
    expect(await uncounted.charges()).toMatchObject([{ amount: '-0.212', outputTokens: 130, estimated: true }])
  })

  it('of a text that is still to come reserves more as it arrives and never less than it charges', async () => {
    const text = producer(Array.from({ length: 50 }, () => 'x'.repeat(100)))
    const { result, trips, charges, balance } = await speak({}, { text: text.stream })
    await readAll(result.audioStream)
    expect(await settledReceipt(result)).toMatchObject({ charged: '12', stopped: undefined })
    // 1,000 characters at first, then 2,200 and 4,600 and 9,400.
    expect(trips).toEqual(['reserve', 'extend', 'extend', 'extend', 'settle'])
    expect(await charges()).toMatchObject([{ amount: '-12', uncollected: '0' }])
    expect((await balance()).reserved).toBe('0')
  })

  it('ends when the credits run out, charges what was heard and cancels the text', async () => {
    const text = producer(Array.from({ length: 50 }, () => 'x'.repeat(100)))
    const { result, journal, charges, balance, errors } = await speak({}, { text: text.stream }, { available: '4' })
    expect(await readAll(result.audioStream)).toBe(16)
    expect(await settledReceipt(result)).toMatchObject({ charged: '3.84', stopped: { reason: 'cut-off' } })
    expect(journal).toMatchObject({ outcome: 'finished' })
    expect(journal.read).toHaveLength(16)
    // Beyond those, the piece that was refused, and the one that the SDK was already asking for meanwhile.
    await expect.poll(() => text.state).toEqual({ given: 18, cancelled: true })
    await sleep(20)
    expect(text.state.given).toBe(18)
    expect(await charges()).toMatchObject([{ amount: '-3.84', uncollected: '0', estimated: false }])
    expect(await balance()).toEqual({ available: '0.16', reserved: '0' })
    expect(errors).toEqual([])
  })

  it.each([
    ['the caller aborts', async ({ abort }: Ways) => abort(), {}],
    ['the caller aborts and has not read for a while', async ({ abort }: Ways) => sleep(20).then(abort), {}],
    ['the caller cancels', async ({ cancel }: Ways) => cancel(), {}],
    ['the stream is no longer read', async () => undefined, soonIdle],
  ])('is charged exactly once for what was read when %s', async (_, way, context) => {
    const controller = new AbortController()
    const text = producer(Array.from({ length: 50 }, () => 'x'.repeat(10)))
    const { result, journal, trips, charges, balance } = await speak(
      {},
      { text: text.stream, abortSignal: controller.signal },
      { context },
    )
    const reader = result.audioStream.getReader()
    for (let part = 0; part < 5; part++) await reader.read()
    await way({ abort: () => controller.abort(), cancel: () => reader.cancel() })
    await settledReceipt(result)
    expect(journal.outcome).not.toBe('running')
    expect(text.state.cancelled).toBe(true)
    expect(trips).toEqual(['reserve', 'settle'])
    const read = journal.read.length
    expect(read).toBeGreaterThanOrEqual(5)
    expect(read).toBeLessThan(10)
    expect(await charges()).toMatchObject([{ amount: `-${(read * 24) / 1000}`, estimated: true }])
    expect((await balance()).reserved).toBe('0')
  })

  it('that is never read is cancelled and charged for what was read ahead', async () => {
    const text = producer(Array.from({ length: 50 }, () => 'x'.repeat(10)))
    const { result, journal, trips, charges, balance } = await speak({}, { text: text.stream }, { context: soonIdle })
    expect(await settledReceipt(result)).toMatchObject({ closed: true, stopped: { reason: 'abandoned' } })
    expect(journal.outcome).toBe('aborted')
    expect(text.state.cancelled).toBe(true)
    expect(await charges()).toMatchObject([{ amount: `-${(journal.read.length * 24) / 1000}`, estimated: true }])
    expect(trips).toEqual(['reserve', 'settle'])
    expect((await balance()).reserved).toBe('0')
  })

  it('by a model that cannot stream costs nothing', async () => {
    const { context, trips, balance } = world()
    const model = { ...liveModel('openai/speech', 'text').model, doStream: undefined }
    const call = { model, text: 'hello' } as unknown as SpeechOptions
    await expect(withCredits(experimental_streamSpeech, context)(call)).rejects.toMatchObject({
      name: 'AI_UnsupportedFunctionalityError',
    })
    expect(trips).toEqual(['reserve', 'release'])
    expect((await balance()).reserved).toBe('0')
  })

  it('that breaks is charged for what was read', async () => {
    const text = producer(Array.from({ length: 50 }, () => 'x'.repeat(10)))
    const { result, trips, charges } = await speak({ breaksAfter: 5 }, { text: text.stream })
    await expect(readAll(result.audioStream)).rejects.toThrow('socket hang up')
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ amount: '-0.12', estimated: true }])
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('that ends without a finish is charged for what was read', async () => {
    const { result, charges } = await speak({ ends: () => undefined }, {})
    await expect(readAll(result.audioStream)).rejects.toThrow('ended before it finished')
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ amount: '-0.24', estimated: true }])
  })

  it.each([
    ['for good', fatal()],
    ['for now, which the SDK does not try again', retryable()],
  ])('that is refused %s costs nothing, and the text goes back to its writer', async (_, refuses) => {
    const text = producer(['hello'])
    const { result, trips, charges, balance } = await speak({ refuses }, { text: text.stream })
    await expect(readAll(result.audioStream)).rejects.toMatchObject({ name: 'AI_APICallError' })
    await settledReceipt(result)
    expect(text.state).toEqual({ given: 0, cancelled: true })
    expect(trips).toEqual(['reserve', 'release'])
    expect(await charges()).toEqual([])
    expect((await balance()).reserved).toBe('0')
  })

  it('with a signal that was aborted before is not called', async () => {
    const { result, journal, trips } = await speak({}, { abortSignal: AbortSignal.abort() })
    await expect(readAll(result.audioStream)).rejects.toMatchObject({ name: 'AbortError' })
    await settledReceipt(result)
    expect(journal.calls).toBe(0)
    expect(trips).toEqual(['reserve', 'release'])
  })

  it('that was cancelled as idle gives a reader who comes back an error instead of an end', async () => {
    const text = ['a', 'b', 'c', 'd', 'e', 'f']
    const { result, charges } = await speak({}, { text }, { context: soonIdle })
    const reader = result.audioStream.getReader()
    await reader.read()
    await sleep(400)
    const rest = async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read());
    }
    await expect(rest()).rejects.toMatchObject({ name: 'AbortError' })
    expect(await charges()).toHaveLength(1)
  })

  it('by a wrapped model has a reservation of its own', async () => {
    const { context, trips, charges } = world()
    const { model } = liveModel('openai/speech', 'text')
    const { audioStream } = experimental_streamSpeech({
      model: withCredits(model as never, context),
      text: 'x'.repeat(2_000),
    } as unknown as SpeechOptions)
    await readAll(audioStream)
    await sleep(10)
    expect(await charges()).toMatchObject([{ amount: '-4.8', estimated: false }])
    expect(trips).toEqual(['reserve', 'extend', 'settle'])
  })
})

interface Ways {
  abort: () => unknown
  cancel: () => unknown
}

const PCM = { type: 'audio/pcm', rate: 8_000 }
const second = () => new Uint8Array(16_000)
const seconds = (count: number) => producer(Array.from({ length: count }, second))

describe('streamed transcription', () => {
  const says = () => ({ type: 'transcript-delta', delta: 'word ' })
  const listen = async (live: Live, options: Partial<TranscribeOptions>, available?: string) => {
    const books = world(available)
    const { model, journal } = liveModel('openai/whisper', 'audio', { says, ...live })
    const call = { model, audio: seconds(3).stream, inputAudioFormat: PCM, ...options } as unknown as TranscribeOptions
    return { ...books, journal, result: await withCredits(experimental_streamTranscribe, books.context)(call) }
  }
  const finish = (durationInSeconds?: number) => ({ type: 'finish', text: 'words', segments: [], durationInSeconds })

  it('is charged by the seconds that the provider counts, in two round trips', async () => {
    const { result, trips, charges } = await listen({ ends: () => finish(2.5) }, {})
    expect(await result.text).toBe('words')
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ amount: '-0.04', estimated: false }])
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('is estimated from the audio where the provider counts nothing', async () => {
    const { result, charges } = await listen({ ends: () => finish() }, {})
    await result.text
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ amount: '-0.048', estimated: true }])
  })

  it('of a long recording reserves more as it goes on', async () => {
    const { result, trips, charges } = await listen(
      { ends: (read) => finish(read.length) },
      { audio: seconds(200).stream },
    )
    await readAll(result.fullStream)
    await settledReceipt(result)
    expect(trips).toEqual(['reserve', 'extend', 'extend', 'settle'])
    expect(await charges()).toMatchObject([{ amount: '-3.2', uncollected: '0' }])
  })

  it('ends when the credits run out with a transcript of what was heard', async () => {
    const audio = seconds(200)
    const { result, charges, balance } = await listen(
      { ends: (read) => finish(read.length) },
      { audio: audio.stream },
      '1',
    )
    expect(await result.text).toBe('words')
    expect(await settledReceipt(result)).toMatchObject({ stopped: { reason: 'cut-off' } })
    expect(audio.state.cancelled).toBe(true)
    const [charge] = await charges()
    expect(charge).toMatchObject({ uncollected: '0' })
    expect(Number(charge?.amount)).toBeLessThanOrEqual(-0.96)
    expect(Number((await balance()).available)).toBeGreaterThanOrEqual(0)
  })

  it('cancelled by its reader is charged for what was heard', async () => {
    const audio = seconds(50)
    const { result, journal, trips, charges } = await listen({}, { audio: audio.stream })
    const reader = result.fullStream.getReader()
    for (let part = 0; part < 5; part++) await reader.read()
    await reader.cancel().catch(() => undefined)
    await settledReceipt(result)
    expect(audio.state.cancelled).toBe(true)
    expect(await charges()).toMatchObject([{ amount: `-${(journal.read.length * 16) / 1000}`, estimated: true }])
    expect(trips).toEqual(['reserve', 'settle'])
  })
})

describe('streamed translation', () => {
  const translate = async (live: Live, options: Partial<TranslateOptions> = {}) => {
    const books = world()
    const { model, journal } = liveModel('openai/translate', 'audio', live)
    const audio = seconds(3).stream
    const call = {
      model,
      audio,
      inputAudioFormat: PCM,
      targetLanguage: 'de',
      ...options,
    } as unknown as TranslateOptions
    return { ...books, journal, result: await withCredits(experimental_streamTranslate, books.context)(call) }
  }
  const finish = (usage?: object) => ({ type: 'finish', sourceText: 'a', outputText: 'b', durationInSeconds: 3, usage })

  it('is charged by the tokens of text and audio that the provider counts', async () => {
    const usage = { inputAudioTokens: 30, outputAudioTokens: 60, inputTextTokens: 5, outputTextTokens: 10 }
    const { result, trips, charges } = await translate({ ends: () => finish(usage) })
    await readAll(result.fullStream)
    await settledReceipt(result)
    // (5 * 1 + 10 * 2 + 30 * 10 + 60 * 20) millionths of a dollar.
    expect(await charges()).toMatchObject([{ amount: '-0.244', inputTokens: 35, outputTokens: 70, estimated: false }])
    expect(trips).toEqual(['reserve', 'settle'])
  })

  it('is estimated when the provider reports no more than the duration', async () => {
    const { result, charges } = await translate({ ends: () => finish() })
    await readAll(result.fullStream)
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ inputTokens: 30, outputTokens: 60, estimated: true }])
  })

  it('aborted is charged for what was heard', async () => {
    const controller = new AbortController()
    const { result, journal, charges, balance } = await translate(
      {},
      { audio: seconds(50).stream, abortSignal: controller.signal },
    )
    const reader = result.fullStream.getReader()
    for (let part = 0; part < 5; part++) await reader.read()
    controller.abort()
    await settledReceipt(result)
    expect(await charges()).toMatchObject([{ inputTokens: 10 * journal.read.length, estimated: true }])
    expect((await balance()).reserved).toBe('0')
  })
})
