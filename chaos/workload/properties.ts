import fc from 'fast-check'
import type { ScenarioContext } from '../runner/scenario.ts'

/**
 * Checks an asynchronous property on many inputs, several at once. An input that fails is shrunk first.
 *
 * @param width how many at once, each with a seed of its own
 * @returns how many inputs were tried
 */
export async function checkProperty<Input extends [unknown, ...unknown[]]>(
  context: ScenarioContext,
  property: fc.IAsyncPropertyWithHooks<Input>,
  { times, width = 8 }: { times: number; width?: number },
): Promise<number> {
  // A probe is short: the first counterexample is enough.
  const shrinking = context.tier === 'probe' ? { endOnFailure: true } : { interruptAfterTimeLimit: 600_000 }
  const numRuns = Math.ceil(times / width)
  const checks = Array.from({ length: width }, async () => {
    const seed = context.random.integer()
    const result = await fc.check(property, { seed, numRuns, ...shrinking })
    if (result.failed) {
      const { errorInstance: cause, counterexample } = result
      const message = cause instanceof Error ? cause.message : String(cause)
      context.violation(message, { counterexample: fc.stringify(counterexample), seed })
    }
    return result.numRuns
  })
  const runs = await Promise.all(checks)
  return runs.reduce((total, count) => total + count, 0)
}
