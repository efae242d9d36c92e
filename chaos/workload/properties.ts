import fc from 'fast-check'
import type { Arena } from '../runner/scenario.ts'

/**
 * Checks an asynchronous property on as many inputs as told, several at once; what fails is made small first.
 *
 * @param width how many at once, each with a seed of its own
 * @returns how many inputs were tried
 */
export async function holdsFor<Input extends [unknown, ...unknown[]]>(
  arena: Arena,
  property: fc.IAsyncPropertyWithHooks<Input>,
  { times, width = 8 }: { times: number; width?: number },
): Promise<number> {
  // A probe has to be quick: the first counterexample will do.
  const shrinking = arena.tier === 'probe' ? { endOnFailure: true } : { interruptAfterTimeLimit: 600_000 }
  const numRuns = Math.ceil(times / width)
  const checks = Array.from({ length: width }, async () => {
    const seed = arena.random.integer()
    const result = await fc.check(property, { seed, numRuns, ...shrinking })
    if (result.failed) {
      const { errorInstance: cause, counterexample } = result
      arena.violation(cause instanceof Error ? cause.message : String(cause), { counterexample, seed })
    }
    return result.numRuns
  })
  const runs = await Promise.all(checks)
  return runs.reduce((total, count) => total + count, 0)
}
