import { toMicros } from '../time.ts'
import type { ChargeFlag } from './flags.ts'
import { inForce } from './in-force.ts'
import { type ModelName, normalForm, ownIds, parseModelKey, vendorModel, withoutEndings } from './model-ids.ts'

/** The parts of a rate row that finding one reads. */
export interface EffectiveRate {
  readonly modelId: string
  readonly known: boolean
  readonly effectiveFrom: string
  /** Where the price is from. A source that names the gateway makes it the gateway's price. */
  readonly source?: string | null | undefined
}

/** All rates of a moment. */
export interface RateSnapshot<Rate extends EffectiveRate> {
  readonly rates: readonly Rate[]
  readonly aliases: Readonly<Record<string, string>>
  readonly asOf: string
}

/** Which model's rate is wanted, and from where it may be taken. */
export interface RateQuery {
  /** A key of `modelKey`: the gateway's id, or `provider:id`. */
  modelId: string
  at?: string | undefined
  /**
   * Whether a model that is called at a provider itself may have the gateway's price of the same model where there is
   * none of that provider's own. It is flagged `gateway_price`. Default true.
   */
  gatewayPrices?: boolean | undefined
}

/** A rate, and what was assumed in taking it. */
export interface FoundRate<Rate> {
  rate: Rate
  flags: ChargeFlag[]
}

const MAX_ALIAS_STEPS = 5

const keyOf = (rate: EffectiveRate): string => rate.modelId

/** The models of one owner, by the normal form of their names. */
type Names = Map<string, string[]>

interface Index {
  /** Rows of a provider's own, by provider. */
  providers: Map<string, Names>
  /** The gateway's rows, by vendor; `''` has those of all vendors. */
  vendors: Map<string, Names>
}

const INDEXES = new WeakMap<readonly EffectiveRate[], Index>()

function isGateways(rate: EffectiveRate): boolean {
  return /gateway/i.test(rate.source ?? '')
}

function put(index: Map<string, Names>, owner: string, name: string, modelId: string): void {
  const names = index.get(owner) ?? new Map<string, string[]>()
  index.set(owner, names)
  const form = normalForm(name)
  const ids = names.get(form) ?? []
  names.set(form, ids)
  if (!ids.includes(modelId)) ids.push(modelId)
}

/** Indexes the rows of a snapshot, once per array: a lookup must cost a call nothing. */
function indexOf(rates: readonly EffectiveRate[]): Index {
  const known = INDEXES.get(rates)
  if (known !== undefined) return known
  const index: Index = { providers: new Map(), vendors: new Map() }
  for (const rate of rates) {
    const { provider, modelId } = parseModelKey(rate.modelId)
    if (provider !== null) {
      put(index.providers, provider, modelId, rate.modelId)
      continue
    }
    const slash = modelId.indexOf('/')
    const [vendor, name] = [modelId.slice(0, Math.max(0, slash)), modelId.slice(slash + 1)]
    if (isGateways(rate)) {
      put(index.vendors, vendor, name, rate.modelId)
      put(index.vendors, '', name, rate.modelId)
    } else put(index.providers, vendor, name, rate.modelId)
  }
  INDEXES.set(rates, index)
  return index
}

/** Ids of one owner's models that an id may mean, the closest first. */
function idsOf(names: Names | undefined, name: string): string[] {
  if (names === undefined) return []
  return withoutEndings(name.toLowerCase()).flatMap((form) => names.get(normalForm(form)) ?? [])
}

function gatewayIds(index: Index, model: ModelName): { ids: string[]; variant: string | null } {
  const { vendor, name, variant } = vendorModel(model)
  const ids = idsOf(index.vendors.get(vendor ?? ''), name)
  // A name that several vendors have says nothing.
  const unclear = vendor === null && new Set(ids.map((id) => id.split('/')[0])).size > 1
  return { ids: unclear ? [] : ids, variant }
}

/** Which ids to look under, in order of precedence, and what taking one of them assumes. */
function* candidates(index: Index, query: RateQuery): Generator<{ id: string; flags: ChargeFlag[] }> {
  const { modelId, gatewayPrices = true } = query
  yield { id: modelId, flags: [] }
  let model = parseModelKey(modelId)
  const slash = modelId.indexOf('/')
  const first = modelId.slice(0, Math.max(0, slash))
  if (model.provider === null && slash > 0) {
    // The gateway's own model under another spelling.
    for (const id of idsOf(index.vendors.get(first), modelId.slice(slash + 1))) yield { id, flags: [] }
    if (index.vendors.has(first)) return
    // `groq/openai/gpt-oss-120b`: not a vendor of the gateway, so a provider.
    model = parseModelKey(`${first}:${modelId.slice(slash + 1)}`)
  }
  if (model.provider === null) return
  const names = index.providers.get(model.provider)
  for (const name of ownIds(model)) for (const id of idsOf(names, name)) yield { id, flags: [] }
  if (!gatewayPrices) return
  const { ids, variant } = gatewayIds(index, model)
  const flags: ChargeFlag[] = variant === null ? ['gateway_price'] : ['gateway_price', 'variant_price_missing']
  for (const id of ids) yield { id, flags }
}

/** The row of an id in force: its own if that has a price, else that of the id it was renamed to, else its own. */
function rowOf<Rate extends EffectiveRate>(snapshot: RateSnapshot<Rate>, modelId: string, at: number): Rate | null {
  let unpriced: Rate | null = null
  let id: string | undefined = modelId
  // Bounded: two aliases that name each other must not hang a call.
  for (let step = 0; id !== undefined && step <= MAX_ALIAS_STEPS; step++) {
    const rate: Rate | null = inForce(snapshot.rates, keyOf, id, at)
    if (rate?.known) return rate
    unpriced ??= rate
    id = Object.hasOwn(snapshot.aliases, id) ? snapshot.aliases[id] : undefined
  }
  return unpriced
}

/**
 * The rate of a model, whichever way its id is spelt: dashes or dots, with a date, `-latest`, `@` or a version, with
 * Amazon Bedrock's regions and vendors, with Vertex AI's publishers, with OpenRouter's variants. A rate belongs to a
 * provider: another provider's price is never taken, the gateway's only as a flagged fallback, and `:free` is free only
 * where a row of that very id says so.
 *
 * @returns null when there is no row at all; a row without a price when there is no other
 * @example
 * ```ts
 * findRate(snapshot, { modelId: 'groq:openai/gpt-oss-120b' })
 * const modelId = modelKey({ provider: 'amazon-bedrock', modelId: 'us.anthropic.claude-opus-5' })
 * findRate(snapshot, { modelId })?.flags // ['gateway_price']
 * ```
 */
export function findRate<Rate extends EffectiveRate>(
  snapshot: RateSnapshot<Rate>,
  query: RateQuery,
): FoundRate<Rate> | null {
  const at = toMicros(query.at ?? snapshot.asOf)
  let unpriced: FoundRate<Rate> | null = null
  for (const { id, flags } of candidates(indexOf(snapshot.rates), query)) {
    const rate = rowOf(snapshot, id, at)
    if (rate?.known) return { rate, flags }
    if (rate !== null) unpriced ??= { rate, flags }
  }
  return unpriced
}
