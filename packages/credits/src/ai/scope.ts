import type { CallSession } from './call-session.ts'
import { type CreditsContext, type CreditsScope, isSamePayer } from './context.ts'

interface Storage<Value> {
  getStore(): Value | undefined
  run<Result>(value: Value, fn: () => Result): Result
}
type StorageClass = new <Value>() => Storage<Value>

interface Runtime {
  AsyncLocalStorage?: StorageClass
  process?: { getBuiltinModule?: (name: string) => { AsyncLocalStorage?: StorageClass } | undefined }
}

// Edge runtimes put the class on the global object, Node hands it out by name. A static import of a Node module
// would keep this file off the edge.
function storageClass(): StorageClass | undefined {
  const runtime = globalThis as unknown as Runtime
  return runtime.AsyncLocalStorage ?? runtime.process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage
}

const Local = storageClass()

/** Storage that follows a call through everything it awaits. Undefined where the runtime has none. */
export function localStorageOf<Value>(): Storage<Value> | undefined {
  return Local && new Local<Value>()
}

const sessions = localStorageOf<CallSession>()
const scopes = new WeakMap<CreditsScope, CallSession>()

/**
 * A scope for runtimes without `AsyncLocalStorage`: calls given the same scope share the reservation of the outermost
 * one. Make one per request. Not needed on Node, Bun, Deno or Vercel's edge.
 *
 * @example
 * ```ts
 * const scope = creditsScope()
 * const outer = withCredits(generateText, { credits, userId, scope })
 * // inside a tool of that call:
 * await withCredits(generateText, { credits, userId, scope })({ model, prompt })
 * ```
 */
export function creditsScope(): CreditsScope {
  const scope: CreditsScope = {
    get current() {
      return scopes.get(scope)
    },
  }
  return scope
}

/** The session of the call around this one, if it is still under way and the same user pays. */
export function sessionInScope(context: CreditsContext): CallSession | undefined {
  const session = sessions?.getStore() ?? (context.scope && scopes.get(context.scope))
  if (session === undefined || session.over) return undefined
  return isSamePayer(session.context, context) ? session : undefined
}

/** Runs a call so that the calls it makes find its session with {@link sessionInScope}. */
export function runInScope<Result>(session: CallSession, fn: () => Result): Result {
  const { scope } = session.context
  if (scope !== undefined && !scopes.has(scope)) {
    scopes.set(scope, session)
    session.totals.onOver(() => scopes.delete(scope))
  }
  return sessions === undefined ? fn() : sessions.run(session, fn)
}

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
export function runProviderCall<Result>(call: ProviderCallInScope, fn: () => Result): Result {
  return providerCalls === undefined ? fn() : providerCalls.run(call, fn)
}
