import type { Usage } from '../../../core/pricing/usage.ts'
import { blockOf, countOf, fieldsOf, listOf, type ReadProvider, textOf } from './reading.ts'

/** Bedrock's Converse API: cache writes for an hour, summed, and the tier that served. */
export const readBedrock: ReadProvider = ({ raw, metadata }) => {
  const block = blockOf(metadata, 'amazonBedrock', 'bedrock')
  const details = listOf(raw.cacheDetails ?? fieldsOf(block?.usage).cacheDetails)
  const usage: Usage = {}
  const oneHour = details.filter(({ ttl }) => ttl === '1h')
  if (oneHour.length > 0) {
    usage.cacheWrite1hTokens = oneHour.reduce((sum, { inputTokens }) => sum + (countOf(inputTokens) ?? 0), 0)
  }
  const tier = textOf(block?.serviceTier) ?? textOf(fieldsOf(block?.serviceTier).type)
  if (tier !== undefined) usage.serviceTier = tier
  return Object.keys(usage).length === 0 ? undefined : { usage }
}
