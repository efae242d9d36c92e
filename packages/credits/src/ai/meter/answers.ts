import { CreditError } from '../../core/errors.ts'

/** The finish reason as a word: its shape depends on the version of the model's specification. */
export function unifiedReason(finishReason: unknown): string {
  const { unified } = (finishReason ?? {}) as { unified?: unknown }
  return String(unified ?? finishReason)
}

/** Whether a usage counts any token. */
export function countsSomething(usage: unknown): boolean {
  const { inputTokens, outputTokens } = (usage ?? {}) as { inputTokens?: unknown; outputTokens?: unknown }
  return [inputTokens, outputTokens].some((tokens) => {
    const total = (tokens as { total?: unknown } | undefined)?.total ?? tokens
    return typeof total === 'number' && total > 0
  })
}

const REASONING_MODELS = [
  /\b(o[1-9]|gpt-[5-9]|gpt-oss|deepseek-r|qwq|magistral|grok-[3-9])/i,
  /\bgemini-(2\.5|[3-9])/i,
  /\bsonar-(reasoning|deep)/i,
  /reason|think/i,
]

/** Models that reason without being asked, and may hide it. */
export function isReasoningModel(modelId: string): boolean {
  return REASONING_MODELS.some((name) => name.test(modelId))
}

/** Whether the options of a provider ask for reasoning. */
export function asksForReasoning(providerOptions: unknown): boolean {
  if (typeof providerOptions !== 'object' || providerOptions === null) return false
  return Object.values(providerOptions as Record<string, object | null>).some((options) =>
    Object.entries(options ?? {}).some(
      ([name, value]) => /reason|think/i.test(name) && value !== false && value !== 'none' && !isDisabled(value),
    ),
  )
}

function isDisabled(value: unknown): boolean {
  return (value as { type?: unknown } | null)?.type === 'disabled'
}

/** Whether a call ended because it was ended on purpose. */
export function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return true
  const name = (error as { name?: unknown } | null | undefined)?.name
  return name === 'AbortError' || name === 'ResponseAborted' || name === 'TimeoutError'
}

/**
 * The error to pass on. A 402 of the provider concerns the operator's account. Passed on as it is, an app would ask its
 * user to buy credits.
 */
export function providerError(error: unknown): unknown {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  if (statusCode !== 402 || CreditError.isInstance(error)) return error
  return new CreditError({
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The model provider asks the operator for payment',
    cause: error,
  })
}

/** Whether the SDK tries a failed provider call again. */
export function isRetryable(error: unknown): boolean {
  return (error as { isRetryable?: unknown } | null | undefined)?.isRetryable === true
}
