import { mul } from '../../../core/money.ts'
import type { Usage } from '../../../core/pricing/usage.ts'
import { blockOf, costOf, countOf, fieldsOf, type ReadProvider, textOf } from './reading.ts'

/** USD of one tick. */
const TICK = '0.0000000001'

/** xAI: the cost in ticks, and searches where there is no cost. */
export const readXai: ReadProvider = ({ raw, metadata }) => {
  const block = blockOf(metadata, 'xai')
  const ticks = costOf(block?.costInUsdTicks ?? raw.cost_in_usd_ticks)
  const tools = fieldsOf(raw.server_side_tool_usage_details)
  const web = countOf(tools.web_search_calls)
  const x = countOf(tools.x_search_calls)
  const searches =
    web === undefined && x === undefined ? countOf(raw.num_server_side_tools_used) : (web ?? 0) + (x ?? 0)
  const usage: Usage = {}
  if (searches !== undefined) usage.webSearches = searches
  const tier = textOf(block?.serviceTier)
  if (tier !== undefined) usage.serviceTier = tier
  if (ticks === undefined && Object.keys(usage).length === 0) return undefined
  return { usage, ...(ticks !== undefined && { costUsd: mul(ticks, TICK) }) }
}
