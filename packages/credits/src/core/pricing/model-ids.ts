/**
 * Model ids as gateways and providers write them, brought to forms that can be compared.
 *
 * A price belongs to a provider. The gateway's models have ids such as `anthropic/claude-sonnet-4.5`. A model that is
 * called at a provider itself has the key `provider:id`, as in the AI SDK's provider registry:
 * `anthropic:claude-sonnet-4-5`, `groq:openai/gpt-oss-120b`, `ollama:llama3.2`.
 */

/** A model at a provider. `provider` is null for a model of the gateway. */
export interface ModelName {
  provider: string | null
  modelId: string
}

const PROVIDER_NAMES = new Map([
  ['azure-openai', 'azure'],
  ['bedrock', 'amazon-bedrock'],
  ['fireworks-ai', 'fireworks'],
  ['together', 'togetherai'],
  ['vertex', 'google-vertex'],
  ['x-ai', 'xai'],
])

/**
 * The name of a provider, from a model's `provider` field: `'anthropic.messages'` -> `'anthropic'`,
 * `'google.vertex.chat'` -> `'google-vertex'`. Null for the AI Gateway.
 */
export function providerName(provider: string): string | null {
  const lower = provider.toLowerCase()
  if (lower.startsWith('google.vertex') || lower.startsWith('googlevertex')) return 'google-vertex'
  const first = lower.split('.')[0] ?? lower
  if (first === 'gateway' || first === 'vercel') return null
  return PROVIDER_NAMES.get(first) ?? first
}

/**
 * The key under which a model's rate is looked up and its charges are reported: the gateway's id for a model of the
 * gateway, else `provider:id`.
 * @param deployments names that an app gave to models, as on Azure: `{ 'my-deployment': 'gpt-5' }`
 * @example modelKey({ provider: 'groq.chat', modelId: 'openai/gpt-oss-120b' }) // 'groq:openai/gpt-oss-120b'
 */
export function modelKey(
  model: { provider: string; modelId: string },
  deployments: Readonly<Record<string, string>> = {},
): string {
  const name = providerName(model.provider)
  const modelId = Object.hasOwn(deployments, model.modelId) ? (deployments[model.modelId] ?? '') : model.modelId
  return name === null ? modelId : `${name}:${modelId}`
}

/** Reads a key of {@link modelKey}. A colon after the first slash belongs to the id: `deepseek/deepseek-r1:free`. */
export function parseModelKey(key: string): ModelName {
  const match = /^([a-z0-9][a-z0-9_-]*):(.+)$/i.exec(key)
  return match === null
    ? { provider: null, modelId: key }
    : { provider: providerName(match[1] ?? ''), modelId: match[2] ?? '' }
}

/** Separators are a matter of taste: `claude-sonnet-4.5`, `claude-sonnet-4-5`; Fireworks writes `v3p1`. */
export function normalForm(modelId: string): string {
  return modelId
    .toLowerCase()
    .replaceAll(/(?<=[0-9])p(?=[0-9])/g, '-')
    .replaceAll(/[._\s]/g, '-')
}

/** What the end of an id may say besides the model, weakest first. */
const ENDINGS = [
  /@(?:[0-9]+|default|latest)$/, // Vertex AI
  /-v[0-9]+(?::[0-9]+(?::[0-9]+k)?)?$/, // Amazon Bedrock
  /(?:-[0-9])?:[0-9]+$/,
  /-maas$/, // Vertex AI, models as a service
  /-latest$/,
  /-(?:19|20)[0-9]{2}-?[0-9]{2}-?[0-9]{2}$/, // 20250929, 2025-08-07
  /-[0-9]{2}-(?:19|20)[0-9]{2}$/, // Cohere, Google: 08-2025
  /-2[0-9](?:0[1-9]|1[0-2])$/, // Mistral: 2508
  /-0[0-9]{3}$/, // OpenAI's first snapshots, Moonshot: 0905
  /-00[0-9]$/, // Google's versions
  /-preview$/,
  /-exp$/,
]

/** The id, and what is left of it as one ending after the other is taken away. */
export function withoutEndings(modelId: string): string[] {
  const forms = [modelId]
  for (let rest = modelId; ; ) {
    const next = ENDINGS.reduce<string>((id, ending) => (id === rest ? id.replace(ending, '') : id), rest)
    if (next === rest || next === '') return forms
    forms.push(next)
    rest = next
  }
}

/** Companies under the names that hosts give them, and that the gateway gives them. */
const VENDORS = new Map([
  ['accounts/fireworks/models', null],
  ['cerebras', null],
  ['deepseek-ai', 'deepseek'],
  ['meta-llama', 'meta'],
  ['minimaxai', 'minimax'],
  ['mistralai', 'mistral'],
  ['qwen', 'alibaba'],
  ['x-ai', 'spacexai'],
  ['xai', 'spacexai'],
  ['z-ai', 'zai'],
  ['zai-org', 'zai'],
])

function vendorName(vendor: string): string | null {
  const lower = vendor.toLowerCase()
  const known = VENDORS.get(lower)
  return known === undefined ? lower : known
}

/** Whose models a provider sells under its own name. Other providers are hosts: their ids say whose, or nothing. */
const VENDOR_OF_PROVIDER = new Map([
  ['anthropic', 'anthropic'],
  ['azure', 'openai'],
  ['cohere', 'cohere'],
  ['deepseek', 'deepseek'],
  ['google', 'google'],
  ['mistral', 'mistral'],
  ['moonshotai', 'moonshotai'],
  ['openai', 'openai'],
  ['perplexity', 'perplexity'],
  ['xai', 'spacexai'],
])

/** A model as its vendor names it. */
export interface VendorModel {
  /** Null: the id does not say whose. */
  vendor: string | null
  name: string
  /** A suffix that changes what is billed: `free`, `online`, `nitro`. */
  variant: string | null
}

/** Amazon Bedrock: an ARN or an inference profile ends in the model, and a region may stand before it. */
function withoutRegion(modelId: string): string {
  return (modelId.split('/').at(-1) ?? modelId).replace(/^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|global)\./, '')
}

/** The ids under which a provider's own price may stand, the closest first. */
export function ownIds({ provider, modelId }: ModelName): string[] {
  const plain = provider === 'amazon-bedrock' ? withoutRegion(modelId) : modelId
  return plain === modelId ? [modelId] : [modelId, plain]
}

function bedrockModel(modelId: string): VendorModel {
  const id = withoutRegion(modelId)
  const dot = id.indexOf('.')
  return dot === -1
    ? { vendor: null, name: id, variant: null }
    : { vendor: vendorName(id.slice(0, dot)), name: id.slice(dot + 1), variant: null }
}

function vertexModel(modelId: string): VendorModel {
  const published = /^(?:.*\/)?publishers\/([^/]+)\/models\/(.+)$/.exec(modelId)
  if (published) return { vendor: vendorName(published[1] ?? ''), name: published[2] ?? '', variant: null }
  if (modelId.startsWith('claude')) return { vendor: 'anthropic', name: modelId, variant: null }
  if (modelId.includes('/')) return slashModel(modelId)
  return { vendor: 'google', name: modelId, variant: null }
}

function slashModel(modelId: string): VendorModel {
  const slash = modelId.lastIndexOf('/')
  const [, name = '', variant = null] = /^([^:]*)(?::([a-z-]+))?$/.exec(modelId.slice(slash + 1)) ?? []
  const vendor = slash === -1 ? null : vendorName(modelId.slice(0, slash).replace(/^~/, ''))
  return { vendor, name: name === '' ? modelId.slice(slash + 1) : name, variant }
}

/** Whose model it is and how its vendor names it, from the id at a provider. */
export function vendorModel({ provider, modelId }: ModelName): VendorModel {
  if (provider === 'amazon-bedrock') return bedrockModel(modelId)
  if (provider === 'google-vertex') return vertexModel(modelId)
  const vendor = provider === null ? null : (VENDOR_OF_PROVIDER.get(provider) ?? null)
  if (vendor !== null && !modelId.includes('/')) return { vendor, name: modelId, variant: null }
  return slashModel(modelId)
}
