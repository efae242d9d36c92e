import { exactAmount } from '../../../core/pricing/gateway-costs.ts'
import type { Usage } from '../../../core/pricing/usage.ts'
import type { SeenOutput } from '../../types.ts'

/** A provider's answer, as the readers see it. */
export interface ProviderAnswer {
  /** Id of the model's rate. */
  model: string
  /** Options of the call, under each provider's name. */
  providerOptions: unknown
  /** The provider's own usage object: `usage.raw` of the SDK. */
  raw: Fields
  /** Metadata of the result or the last part, under each provider's name. */
  metadata: Fields
  /** `inputTokens.total` and `outputTokens.total` of the SDK's usage. */
  inputTokens: number | undefined
  outputTokens: number | undefined
  /** Pictures of this model are billed by the piece. */
  pricedPerPicture: boolean
  seen: SeenOutput
}

/** What one provider says beyond the usage object of the SDK. */
export interface ProviderReading {
  /** Counts and tiers. They replace those of the SDK's usage. */
  usage?: Usage
  /** What the provider says the whole call cost, in USD. */
  costUsd?: string
  /** The model that answered. */
  servedModel?: string
  /** Usage of other models in the same answer. It is billed at their prices. */
  otherModels?: { model: string; usage: Usage }[]
}

/** Reads one provider family. Undefined where the answer is not of its shape. Pure, never throws. */
export type ReadProvider = (answer: ProviderAnswer) => ProviderReading | undefined

/** Fields of unknown types. */
export type Fields = Readonly<Record<string, unknown>>

const NONE: Fields = {}

/** The fields of a value; none where it is no object. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : NONE
}

/** The entries of a list of objects. */
export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : []
}

/** A count: a whole number that is not negative. Anything else is undefined. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** A short text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length < 50 ? value : undefined
}

/** A cost above zero as a decimal string of USD. Zero says "not known" as often as "free". */
export function costOf(value: unknown): string | undefined {
  const amount = exactAmount(value)
  return amount === null || amount === '0' ? undefined : amount
}

/** The first block of metadata under one of these names. */
export function blockOf(metadata: Fields, ...names: readonly string[]): Fields | undefined {
  const name = names.find((key) => typeof metadata[key] === 'object' && metadata[key] !== null)
  return name === undefined ? undefined : fieldsOf(metadata[name])
}
