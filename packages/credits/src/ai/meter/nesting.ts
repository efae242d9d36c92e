import type { CreditsContext } from '../context.ts'
import { localStorageOf } from '../scope.ts'

/** A provider call that a meter has made and that has not answered yet. */
export interface ProviderCallInScope {
  readonly context: CreditsContext
  /** A meter of another user was found inside: that one charges, this one does not. */
  chargedInside: boolean
}

const providerCalls = localStorageOf<ProviderCallInScope>()

/** The provider call, metered further outside, that this code runs in. */
export function providerCallInScope(): ProviderCallInScope | undefined {
  return providerCalls?.getStore()
}

/** Runs a method of a model so that meters inside it find the provider call with {@link providerCallInScope}. */
export function runProviderCall<Arguments extends unknown[], Result>(
  call: ProviderCallInScope,
  fn: (...args: Arguments) => Result,
  ...args: Arguments
): Result {
  return providerCalls === undefined ? fn(...args) : providerCalls.run(call, fn, ...args)
}
