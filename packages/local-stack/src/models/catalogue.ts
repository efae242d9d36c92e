import { readFileSync } from 'node:fs'

/** A price table: units as the gateway names them, decimal strings in USD. */
export type Pricing = Record<string, unknown>

/** A model of the list. */
export interface Model {
  id: string
  type: string
  pricing: Pricing
  /** Longest input and longest answer, in tokens, where the list has them. */
  context_window?: number
  max_tokens?: number
}

// The one price list of the repository, built from supabase/rates by scripts/build-rates.ts. Ids of the form
// `provider:id` are models of a provider itself, which the gateway does not offer.
const file = new URL('../../../credits/rates/models.json', import.meta.url)
const list = JSON.parse(readFileSync(file, 'utf8')) as { data: Model[] }

/** Every model of the gateway, priced or not. */
export const MODELS: readonly Model[] = list.data.filter(({ id }) => !/^[a-z0-9-]+:/.test(id))

const byId = new Map(MODELS.map((model) => [model.id, model]))

/** The model with this id, or undefined. */
export function findModel(id: string): Model | undefined {
  return byId.get(id)
}

/** `anthropic/claude-sonnet-4.5` -> `Claude Sonnet 4.5` */
function displayName(id: string): string {
  return (id.split('/')[1] ?? id)
    .split('-')
    .map((word) => (word.length > 3 ? word.charAt(0).toUpperCase() + word.slice(1) : capitalized(word)))
    .join(' ')
}

function capitalized(word: string): string {
  return /^(ai|gpt|tts|stt|v\d.*)$/.test(word) ? word.toUpperCase() : word.charAt(0).toUpperCase() + word.slice(1)
}

/** The provider that makes the model. */
export function providerOf(id: string): string {
  return id.split('/')[0] ?? id
}

/** The full list, as `GET /v1/models` of the gateway answers. */
export function publicList(): Record<string, unknown> {
  const data = MODELS.map((model) => ({
    ...model,
    object: 'model',
    owned_by: providerOf(model.id),
    name: displayName(model.id),
  }))
  return { object: 'list', data }
}

/** The short list, as `GET /config` answers: one row without both token prices would make clients reject it all. */
export function clientList(): Record<string, unknown> {
  const models = MODELS.map((model) => {
    const { input, output } = model.pricing
    const priced = typeof input === 'string' && typeof output === 'string'
    return {
      id: model.id,
      name: displayName(model.id),
      description: null,
      pricing: priced ? model.pricing : null,
      specification: { specificationVersion: 'v4', provider: providerOf(model.id), modelId: model.id },
      modelType: model.type,
    }
  })
  return { models }
}
