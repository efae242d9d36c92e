import { blockOf, costOf, countOf, fieldsOf, type ReadProvider } from './reading.ts'

/** Perplexity reports the whole cost, its fee per request included. Without it, its searches are counted. */
export const readPerplexity: ReadProvider = ({ raw, metadata }) => {
  const block = blockOf(metadata, 'perplexity')
  const costUsd = costOf(fieldsOf(block?.cost).totalCost) ?? costOf(fieldsOf(raw.cost).total_cost)
  const webSearches = countOf(fieldsOf(block?.usage).numSearchQueries) ?? countOf(raw.num_search_queries)
  if (costUsd === undefined && webSearches === undefined) return undefined
  return {
    ...(costUsd !== undefined && { costUsd }),
    ...(webSearches !== undefined && { usage: { webSearches } }),
  }
}
