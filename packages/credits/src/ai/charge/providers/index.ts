import type { ByokRule } from '../../../core/pricing/gateway-costs.ts'
import type { Usage } from '../../../core/pricing/usage.ts'
import { readBedrock } from './amazon-bedrock.ts'
import { readAnthropic } from './anthropic.ts'
import { readCohere } from './cohere.ts'
import { readGoogle } from './google.ts'
import { readMistral } from './mistral.ts'
import { readOpenAI } from './openai.ts'
import { openRouterReader } from './openrouter.ts'
import { readPerplexity } from './perplexity.ts'
import type { ProviderAnswer, ProviderReading } from './reading.ts'
import { readXai } from './xai.ts'

export { type Fields, fieldsOf, type ProviderAnswer, type ProviderReading } from './reading.ts'

/**
 * What the provider of a call says beyond the usage object of the SDK. Each reader knows its own shape, so a provider
 * is recognised by its answer: the same model may be reached through several packages.
 */
export function readProvider(answer: ProviderAnswer, byok: ByokRule): ProviderReading {
  const readers = [
    readOpenAI,
    readAnthropic,
    readGoogle,
    readBedrock,
    readXai,
    readMistral,
    readCohere,
    readPerplexity,
    openRouterReader(byok),
  ]
  const readings = readers.map((read) => read(answer)).filter((reading) => reading !== undefined)
  const usage: Usage = Object.assign({}, ...readings.map((reading) => reading.usage))
  return Object.assign({}, ...readings, { usage })
}
