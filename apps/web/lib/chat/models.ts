import 'server-only'
import { getCredits } from '../server/credits'
import { readEnv } from '../server/env'

/** A model a user may choose. */
export interface ModelChoice {
  id: string
  provider: string
}

const FALLBACK_MODEL = 'anthropic/claude-sonnet-4.5'

/** The language models that have a price and answer at once; the library refuses those without a price anyway. */
export async function chatModels(): Promise<ModelChoice[]> {
  const { snapshot } = await getCredits().pricing()
  const ids = snapshot.rates
    .filter(({ type, known, modelId }) => type === 'language' && known && !modelId.endsWith('-batch'))
    // `provider:id` is the price of a provider itself. The chat calls the gateway.
    .filter(({ modelId }) => !/^[^/]*:/.test(modelId))
    .map(({ modelId }) => modelId)
  return [...new Set(ids)].sort().map((id) => ({ id, provider: id.split('/')[0] ?? id }))
}

/** The model of a chat whose user chose none. */
export function defaultModel(): string {
  return readEnv().CHAT_MODEL ?? FALLBACK_MODEL
}
