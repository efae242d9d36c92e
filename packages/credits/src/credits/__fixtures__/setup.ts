import { CreditError, type CreditErrorCode } from '../../core/errors.ts'
import { createCredits } from '../../credits.ts'
import { memoryStore } from '../../store/memory/index.ts'
import type { CreditStore } from '../../store/port.ts'
import type { CreditsOptions } from '../types.ts'

export const SONNET = 'anthropic/claude-sonnet-4.5'
export const USAGE = { inputTokens: 2000, outputTokens: 1000 }

/** A store with one model, one user with 50 credits, the calls that reached it, and faults that it throws first. */
export function setup(options: Partial<CreditsOptions> = {}) {
  const memory = memoryStore({ rates: [{ modelId: SONNET, pricing: { input: '0.000003', output: '0.000015' } }] })
  const { userId } = memory.createAccount()
  const calls: string[] = []
  const faults: Partial<Record<keyof CreditStore, unknown[]>> = {}
  const store = new Proxy(memory, {
    get(target, name: keyof CreditStore) {
      const method = target[name]
      if (typeof method !== 'function') return method
      return async (input: never) => {
        calls.push(name)
        const fault = faults[name]?.shift()
        if (fault !== undefined) throw fault
        return (method as (input: never) => unknown)(input)
      }
    },
  })
  const credits = createCredits({ store, ...options })
  return { credits, memory, store, userId, calls, faults }
}

/** A fault of the store. */
export function fault(code: CreditErrorCode): CreditError {
  return new CreditError({ code })
}

/** The CreditError that a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<CreditError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!CreditError.isInstance(error)) throw new Error(`expected a CreditError, got ${String(error)}`)
  return error
}

/** Lets background work run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
