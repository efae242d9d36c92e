import type { Usage } from '../../../core/pricing/usage.ts'
import { countOf, fieldsOf, type ReadProvider } from './reading.ts'

/** Cohere bills other counts than its model processes: its own system text is free. */
export const readCohere: ReadProvider = ({ raw }) => {
  const billed = fieldsOf(raw.billed_units)
  const usage: Usage = {}
  const inputTokens = countOf(billed.input_tokens)
  const outputTokens = countOf(billed.output_tokens)
  if (inputTokens !== undefined) usage.inputTokens = inputTokens
  if (outputTokens !== undefined) usage.outputTokens = outputTokens
  return Object.keys(usage).length === 0 ? undefined : { usage }
}
