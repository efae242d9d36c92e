import type { Telemetry } from 'ai'
import { CreditError } from '../core/errors.ts'
import { localStorageOf } from './scope.ts'

/** A language model call that no meter saw. */
export interface UnmeteredCall {
  provider: string
  modelId: string
  callId: string
}

/** Arguments of {@link watchUnmeteredCalls}. */
export interface LeakAlarmOptions {
  /** Told about every leak. */
  onUnmetered: (call: UnmeteredCall) => void
  /**
   * Refuse such calls with `CONFIG_INVALID`. A model without a meter is only known as such when it has been called,
   * so the provider may have begun; its answer is thrown away.
   */
  block?: boolean | undefined
}

interface Probe {
  metered: boolean
}
// Made for the first alarm: without one, no call has to look.
let probes: ReturnType<typeof localStorageOf<Probe>>

/** Tells the alarm, if there is one, that this call goes through a meter. */
export function seenByMeter(): void {
  const probe = probes?.getStore()
  if (probe !== undefined) probe.metered = true
}

/**
 * Reports language model calls that are made past the meter: a forgotten `withCredits`, a model of its own inside a
 * tool. Rests on the SDK's telemetry, so calls that switch telemetry off, or name integrations of their own, are not
 * seen; other modalities are not either. Needs `AsyncLocalStorage`.
 *
 * @returns a function that stops the watch
 * @example
 * ```ts
 * watchUnmeteredCalls({ onUnmetered: (call) => log.error('unmetered model call', call), block: true })
 * ```
 */
export function watchUnmeteredCalls({ onUnmetered, block = false }: LeakAlarmOptions): () => void {
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
