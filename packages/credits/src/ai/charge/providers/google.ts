import type { Usage } from '../../../core/pricing/usage.ts'
import {
  blockOf,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  type ProviderAnswer,
  type ReadProvider,
  textOf,
} from './reading.ts'

/** Gemini: the Gemini API and Vertex. */
export const readGoogle: ReadProvider = (answer) => {
  const { raw, metadata } = answer
  const block = blockOf(metadata, 'google', 'vertex', 'googleVertex')
  if (block === undefined && !('promptTokenCount' in raw)) return undefined
  const usage: Usage = {
    ...pictureUsage(answer),
    ...groundingUsage(answer.model, fieldsOf(block)),
  }
  const tier = textOf(block?.serviceTier) ?? textOf(raw.serviceTier)
  if (tier !== undefined) usage.serviceTier = tier
  return Object.keys(usage).length === 0 ? undefined : { usage }
}

function tokensOf(details: unknown, modality: string): number {
  return listOf(details)
    .filter((entry) => entry.modality === modality)
    .reduce((sum, entry) => sum + (countOf(entry.tokenCount) ?? 0), 0)
}

/** Pictures that are billed by the piece leave the output tokens. */
function pictureUsage({ raw, outputTokens, pricedPerPicture, providerOptions, seen }: ProviderAnswer): Usage {
  const pictureTokens = tokensOf(raw.candidatesTokensDetails, 'IMAGE')
  if (!pricedPerPicture || (pictureTokens === 0 && seen.files === 0)) return {}
  const size = imageSizeOf(providerOptions)
  return {
    // A picture that was counted but not seen has cost all the same.
    images: Math.max(1, seen.files),
    ...(size !== undefined && { size }),
    ...(outputTokens !== undefined && { outputTokens: Math.max(0, outputTokens - pictureTokens) }),
  }
}

function imageSizeOf(providerOptions: unknown): string | undefined {
  const options = Object.values(fieldsOf(providerOptions)).map(fieldsOf)
  return options.map(({ imageConfig }) => textOf(fieldsOf(imageConfig).imageSize)).find((size) => size !== undefined)
}

/** Up to version 2.5 Gemini bills each grounded request, from version 3 each search. */
function groundingUsage(model: string, block: Fields): Usage {
  const requests = listOf(block.groundingMetadataPerRequest)
  const grounded = requests.length > 0 ? requests : [fieldsOf(block.groundingMetadata)]
  const perRequest = /gemini-[12]\b/.test(model)
  let webSearches = 0
  let mapsSearches = 0
  for (const metadata of grounded) {
    const queries = Array.isArray(metadata.webSearchQueries) ? metadata.webSearchQueries.length : 0
    webSearches += perRequest ? Math.min(1, queries) : queries
    if (listOf(metadata.groundingChunks).some((chunk) => chunk.maps !== undefined && chunk.maps !== null))
      mapsSearches++
  }
  return { ...(webSearches > 0 && { webSearches }), ...(mapsSearches > 0 && { mapsSearches }) }
}
