import type { Telemetry } from 'ai'
import { CreditError } from '../core/errors.ts'
import { localStorageOf } from './scope.ts'

/** A language model call that was made past the meter. */
export interface UnmeteredCall {
  provider: string
  modelId: string
  callId: string
}

/** Arguments of {@link watchUnmeteredCalls}. */
export interface UnmeteredCallsOptions {
  /** Receives every call that was made past the meter. */
  onUnmetered: (call: UnmeteredCall) => void
  /**
   * Refuse such calls with `CONFIG_INVALID`. A call is known to be unmetered only after it was made, so the provider
   * may have begun. Its answer is thrown away.
   */
  block?: boolean | undefined
}

interface Probe {
  metered: boolean
}
// Made by the first watch. Without one, calls do not look.
let probes: ReturnType<typeof localStorageOf<Probe>>

/** Marks the call under way as metered. Does nothing where no watch is on. */
export function markMetered(): void {
  const probe = probes?.getStore()
  if (probe !== undefined) probe.metered = true
}

/**
 * Reports language model calls that are made past the meter: a forgotten `withCredits`, a bare model inside a tool.
 * Rests on the SDK's telemetry, so it does not see calls that switch telemetry off or name integrations of their own,
 * nor other modalities. Needs `AsyncLocalStorage`.
 *
 * @returns a function that stops the watch
 * @example
 * ```ts
 * watchUnmeteredCalls({ onUnmetered: (call) => log.error('unmetered model call', call), block: true })
 * ```
 */
export function watchUnmeteredCalls({ onUnmetered, block = false }: UnmeteredCallsOptions): () => void {
  probes ??= localStorageOf<Probe>()
  const integration: Telemetry = {
    async executeLanguageModelCall({ callId, provider = '', modelId = '', execute }) {
      if (probes === undefined) return execute()
      const probe: Probe = { metered: false }
      const result = await probes.run(probe, async () => execute())
      if (probe.metered) return result
      onUnmetered({ callId, provider, modelId })
      if (!block) return result
      await (result as { stream?: ReadableStream<unknown> } | undefined)?.stream?.cancel().catch(() => undefined)
      throw new CreditError({
        code: 'CONFIG_INVALID',
        message: `The call of ${modelId} is not metered: wrap it in withCredits`,
        details: { provider, model: modelId },
      })
    },
  }
  globalThis.AI_SDK_TELEMETRY_INTEGRATIONS ??= []
  const list = globalThis.AI_SDK_TELEMETRY_INTEGRATIONS as Telemetry[]
  list.push(integration)
  return () => {
    const index = list.indexOf(integration)
    if (index >= 0) list.splice(index, 1)
  }
}
