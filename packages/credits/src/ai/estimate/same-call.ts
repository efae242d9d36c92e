import type { CallParams } from '../types.ts'
import { type LooseParams, looseParams } from './bound.ts'

/**
 * Whether a provider call is the one that was read off the options of its function: the same text, the same tools, no
 * files, the same limit and the same options of the provider. Its estimate then needs not be made again.
 */
export function isSameCall(expected: CallParams, sent: CallParams): boolean {
  const [one, other] = [looseParams(expected), looseParams(sent)]
  const length = textLength(one.prompt)
  return (
    length !== undefined &&
    length === textLength(other.prompt) &&
    one.maxOutputTokens === other.maxOutputTokens &&
    sameOptions(one.providerOptions, other.providerOptions) &&
    toolNames(one) === toolNames(other) &&
    schemaOf(one) === schemaOf(other)
  )
}

function sameOptions(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}

/** Characters of a prompt and its messages; undefined where it has more than text. */
function textLength(prompt: unknown): number | undefined {
  if (!Array.isArray(prompt)) return undefined
  let length = 0
  for (const message of prompt as readonly { content?: unknown; providerOptions?: unknown }[]) {
    if (message?.providerOptions !== undefined) return undefined
    const parts = typeof message?.content === 'string' ? [{ type: 'text', text: message.content }] : message?.content
    if (!Array.isArray(parts)) return undefined
    for (const part of parts as readonly ({ type?: unknown; text?: unknown; providerOptions?: unknown } | null)[]) {
      if (part?.type !== 'text' || typeof part.text !== 'string' || part.providerOptions !== undefined) return undefined
      length += part.text.length
    }
  }
  return length
}

function toolNames({ tools }: LooseParams): string {
  if (!Array.isArray(tools)) return ''
  return tools.map((tool: { type?: unknown; name?: unknown } | null) => `${tool?.type} ${tool?.name}`).join('\n')
}

function schemaOf({ responseFormat }: LooseParams): string | undefined {
  const { schema } = (responseFormat ?? {}) as { schema?: unknown }
  return schema === undefined ? undefined : JSON.stringify(schema)
}
