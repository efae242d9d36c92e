import { providerOf, publicList } from './catalogue.ts'
import { GatewayFailure } from './failure.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { subtract, sum } from './pricing.ts'

/** What the development account starts with, USD. */
const STARTING_BALANCE = '100'

/** The answer to what lies below `/v1` at the gateway's origin. The price list needs no key. */
export function originAnswer(journal: Journal, path: string, query: URLSearchParams, requireKey: () => void): unknown {
  if (path === '/models') return publicList()
  requireKey()
  if (path === '/credits') return credits(journal)
  if (path === '/generation') return { data: generation(journal, query.get('id') ?? '') }
  if (path === '/report') return { results: report(journal, query) }
  throw new GatewayFailure(404, `No such route: /v1${path}`)
}

function credits(journal: Journal): Record<string, string> {
  const used = sum(journal.all().map((entry) => entry.charged ?? '0'))
  return { balance: subtract(STARTING_BALANCE, used), total_used: used }
}

/** The gateway reports numbers here, not decimal strings. */
function generation(journal: Journal, id: string): Record<string, unknown> {
  const entry = journal.find(id)
  if (!entry || entry.outcome === 'running' || entry.readableAt > Date.now()) {
    throw new GatewayFailure(404, `Generation ${id} not found`)
  }
  const { units } = entry
  const milliseconds = Date.parse(entry.endedAt ?? entry.startedAt) - Date.parse(entry.startedAt)
  const charged = Number(entry.charged ?? 0)
  return {
    id,
    total_cost: charged,
    market_cost: Number(entry.cost ?? 0),
    gateway_cost: charged,
    surcharge_cost: 0,
    upstream_inference_cost: entry.byok ? Number(entry.cost ?? 0) : 0,
    usage: charged,
    created_at: entry.startedAt,
    model: entry.served,
    is_byok: entry.byok,
    provider_name: providerOf(entry.served),
    streamed: entry.streamed,
    finish_reason: entry.finishReason ?? entry.outcome,
    latency: milliseconds,
    generation_time: milliseconds,
    native_tokens_prompt: units.inputTokens ?? 0,
    native_tokens_completion: units.outputTokens ?? 0,
    native_tokens_reasoning: entry.reasoningTokens,
    native_tokens_cached: units.cacheReadTokens ?? 0,
    native_tokens_cache_creation: units.cacheWriteTokens ?? 0,
    billable_web_search_calls: units.webSearches ?? 0,
  }
}

const GROUPS: Record<string, (entry: JournalEntry) => string[]> = {
  day: (entry) => [entry.startedAt.slice(0, 10)],
  hour: (entry) => [`${entry.startedAt.slice(0, 13)}:00:00Z`],
  user: (entry) => [entry.user ?? ''],
  model: (entry) => [entry.served],
  tag: (entry) => entry.tags,
  provider: (entry) => [providerOf(entry.served)],
  credential_type: (entry) => [entry.byok ? 'byok' : 'system'],
}

function report(journal: Journal, query: URLSearchParams): Record<string, unknown>[] {
  const asked = query.get('group_by') ?? 'day'
  const dimension = asked === 'day' && query.get('date_part') === 'hour' ? 'hour' : asked
  const keysOf = GROUPS[dimension]
  if (!keysOf) throw new GatewayFailure(400, `Cannot group by ${asked}`)
  const groups = new Map<string, JournalEntry[]>()
  for (const entry of journal.all().filter((candidate) => matches(candidate, query))) {
    for (const key of keysOf(entry)) groups.set(key, [...(groups.get(key) ?? []), entry])
  }
  return [...groups].map(([key, entries]) => ({ [dimension]: key, ...totals(entries) }))
}

function matches(entry: JournalEntry, query: URLSearchParams): boolean {
  const day = entry.startedAt.slice(0, 10)
  const equal = (name: string, value: string) => query.get(name) === null || query.get(name) === value
  return (
    day >= (query.get('start_date') ?? '') &&
    day <= (query.get('end_date') ?? '9') &&
    equal('user_id', entry.user ?? '') &&
    equal('model', entry.served) &&
    equal('provider', providerOf(entry.served)) &&
    equal('credential_type', entry.byok ? 'byok' : 'system') &&
    (query.get('tags')?.split(',') ?? []).every((tag) => entry.tags.includes(tag))
  )
}

function totals(entries: JournalEntry[]): Record<string, number> {
  const count = (read: (entry: JournalEntry) => number | undefined) =>
    entries.reduce((total, entry) => total + (read(entry) ?? 0), 0)
  return {
    total_cost: Number(sum(entries.map((entry) => entry.charged ?? '0'))),
    market_cost: Number(sum(entries.map((entry) => entry.cost ?? '0'))),
    input_tokens: count((entry) => entry.units.inputTokens),
    output_tokens: count((entry) => entry.units.outputTokens),
    cached_input_tokens: count((entry) => entry.units.cacheReadTokens),
    cache_creation_input_tokens: count((entry) => entry.units.cacheWriteTokens),
    reasoning_tokens: count((entry) => entry.reasoningTokens),
    request_count: entries.length,
  }
}
