import { toMicros } from '../time.ts'
import { inForce } from './in-force.ts'
import { parseModelKey } from './model-ids.ts'

/** The parts of a margin row that choosing one reads. */
export interface EffectiveMargin {
  readonly scope: 'default' | 'provider' | 'model' | 'feature' | 'plan'
  /** `''` for the default. */
  readonly target: string
  /** null: the override was removed. */
  readonly marginPercent: string | null
  readonly version: number
  readonly effectiveFrom: string
}

/** What a call is about, for choosing its margin. */
export interface MarginQuery {
  modelId?: string | null | undefined
  /** The model of the rate that was found for it, where that is another id: its margin applies as well. */
  rateModelId?: string | null | undefined
  feature?: string | null | undefined
  planId?: string | null | undefined
  /** ISO 8601 time; default: the snapshot's own. */
  at?: string | undefined
}

const keyOf = (margin: EffectiveMargin): string => `${margin.scope}:${margin.target}`

/** `"anthropic/claude-sonnet-4.5"` and `"anthropic:claude-sonnet-4-5"` -> `"anthropic"`. */
export function providerOf(modelId: string): string {
  const { provider } = parseModelKey(modelId)
  return provider ?? modelId.split('/')[0] ?? modelId
}

/**
 * The margin of a call: the first of **model, provider, feature, plan, default** that has one in force.
 * A price tag on the thing itself beats one on its vendor; both beat what the thing is used for, which beats who
 * uses it: a plan's margin is that plan's default. An override whose percent is null counts as absent.
 *
 * @returns null when not even a default is in force; nothing is assumed
 * @example selectMargin(snapshot, { modelId: 'anthropic/claude-sonnet-4.5', feature: 'chat' })?.marginPercent
 */
export function selectMargin<Margin extends EffectiveMargin>(
  snapshot: { readonly margins: readonly Margin[]; readonly asOf: string },
  query: MarginQuery,
): (Margin & { marginPercent: string }) | null {
  const { modelId, rateModelId, feature, planId } = query
  const at = toMicros(query.at ?? snapshot.asOf)
  const keys = [
    modelId ? `model:${modelId}` : undefined,
    rateModelId ? `model:${rateModelId}` : undefined,
    modelId ? `provider:${providerOf(modelId)}` : undefined,
    rateModelId ? `provider:${providerOf(rateModelId)}` : undefined,
    feature ? `feature:${feature}` : undefined,
    planId ? `plan:${planId}` : undefined,
    'default:',
  ]
  for (const key of keys) {
    if (key === undefined) continue
    const margin = inForce(snapshot.margins, keyOf, key, at)
    if (margin !== null && margin.marginPercent !== null) return margin as Margin & { marginPercent: string }
  }
  return null
}
