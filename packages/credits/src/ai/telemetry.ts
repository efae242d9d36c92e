import type { Operation } from './operation.ts'

type Options = Readonly<Record<string, unknown>>

/** The options with credits made visible to the SDK's telemetry. */
export function observed(options: Options, _operation: Operation): Options {
  return options
}
