import type { Operation } from './operation.ts'

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
const storage = localStorageOf<Operation>()

/** Storage that follows a call through everything it awaits; undefined where the runtime has none. */
export function localStorageOf<Value>(): Storage<Value> | undefined {
  return Local && new Local<Value>()
}

/** Ties calls together where the runtime cannot: see {@link creditsScope}. */
export interface CreditsScope {
  /** The outermost call that is under way in this scope. */
  readonly current: unknown
}

const scopes = new WeakMap<CreditsScope, Operation>()

/**
 * A scope for runtimes without `AsyncLocalStorage`: calls given the same scope share the reservation of the
 * outermost one. Make one per request. Not needed on Node, Bun, Deno or Vercel's edge.
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

/** The call that this one is nested in, if it is under way, and if the same user pays from the same books. */
export function enclosing(context: Operation['context']): Operation | undefined {
  const operation = storage?.getStore() ?? (context.scope && scopes.get(context.scope))
  if (operation === undefined || operation.over) return undefined
  return operation.context.credits === context.credits && operation.context.userId === context.userId
    ? operation
    : undefined
}

/** Runs the call so that whatever it calls finds it with {@link enclosing}. */
export function inside<Result>(operation: Operation, fn: () => Result): Result {
  const { scope } = operation.context
  if (scope !== undefined && !scopes.has(scope)) {
    scopes.set(scope, operation)
    operation.onOver(() => scopes.delete(scope))
  }
  return storage === undefined ? fn() : storage.run(operation, fn)
}
