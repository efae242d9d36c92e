import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { findModel, type Model, providerOf } from './catalogue.ts'
import { scriptedFailure } from './failure.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { costOf, subtract, type Units } from './pricing.ts'
import type { Scenario } from './scenario.ts'

/** What the gateway works with. */
export interface GatewayContext {
  journal: Journal
  /** Milliseconds between two parts of a stream when the scenario says nothing. */
  streamDelayMs: number
}

/** One provider call while it is being answered. */
export interface Call<Body = unknown> {
  context: GatewayContext
  entry: JournalEntry
  model: Model
  body: Body
  scenario: Scenario
  serviceTier: string | undefined
  req: IncomingMessage
  res: ServerResponse
  /** Aborted when the caller goes away. */
  gone: AbortSignal
}

/** Waits as the scenario says and fails if it says so. */
export async function begin(call: Call): Promise<void> {
  const { scenario, entry, context } = call
  if (scenario.wait) await sleep(scenario.wait, undefined, { signal: call.gone })
  if (scenario.error === undefined || scenario.at !== undefined) return
  const key = `${entry.kind} ${entry.model} ${JSON.stringify(call.body)}`
  if (scenario.times !== undefined && context.journal.attempts(key) >= scenario.times) return
  throw scriptedFailure(scenario.error)
}

/** Records what is billed. */
export function bill(call: Call, units: Units, reasoningTokens = 0): void {
  const { entry, scenario } = call
  const served = findModel(entry.served) ?? call.model
  const counted = scenario.searches ? { ...units, webSearches: scenario.searches } : units
  const cost = costOf(served.pricing, counted, { serviceTier: call.serviceTier })
  entry.units = counted
  entry.reasoningTokens = reasoningTokens
  entry.cost = cost?.total ?? null
  entry.charged = entry.cost === null ? null : scenario.freecost || scenario.byok ? '0' : entry.cost
}

/** The call has ended. */
export function finish(call: Call, outcome: JournalEntry['outcome'], finishReason: string | null = null): void {
  const { entry } = call
  if (entry.outcome !== 'running') return
  entry.outcome = outcome
  entry.finishReason = finishReason
  entry.endedAt = new Date().toISOString()
  entry.readableAt = Date.now() + (call.scenario.late ?? 0)
  call.context.journal.close(entry)
}

/** The members of `providerMetadata` that the gateway adds to an answer. */
export function gatewayMetadata(call: Call): { gateway: Record<string, unknown> } {
  const { entry } = call
  const provider = providerOf(entry.served)
  const attempt = { provider, credentialType: entry.byok ? 'byok' : 'system', success: true }
  const routing = {
    originalModelId: entry.model,
    resolvedProvider: provider,
    canonicalSlug: entry.served,
    finalProvider: provider,
    attempts: [attempt],
    modelAttempts: [{ modelId: entry.served, success: true, providerAttempts: [attempt] }],
  }
  return { gateway: { routing, ...costs(call), generationId: entry.id } }
}

function costs(call: Call): Record<string, string> {
  const { entry, scenario } = call
  if (entry.cost === null || entry.charged === null || scenario.nocost) return {}
  const served = findModel(entry.served) ?? call.model
  const input = costOf(served.pricing, { ...entry.units, outputTokens: 0 }, { serviceTier: call.serviceTier })
  const inputCost = input?.input ?? '0'
  return {
    cost: entry.charged,
    marketCost: entry.cost,
    inferenceCost: entry.charged,
    inputInferenceCost: entry.charged === '0' ? '0' : inputCost,
    outputInferenceCost: entry.charged === '0' ? '0' : subtract(entry.cost, inputCost),
    gatewayCost: entry.charged,
  }
}
