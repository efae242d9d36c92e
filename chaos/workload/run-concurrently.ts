import type { Random } from './random.ts'

/**
 * Does numbered pieces of work, several at once. Each piece has a random source of its own, so that a seed repeats it
 * however the pieces interleave.
 *
 * @param width how many at once
 * @example
 * await runConcurrently({ random, times: 1000, width: 8 }, async (own) => store.getBalance({ userId: own.uuid() }))
 */
export async function runConcurrently(
  { random, times, width }: { random: Random; times: number; width: number },
  work: (random: Random, index: number) => Promise<unknown>,
): Promise<void> {
  const source = random.fork(random.integer())
  let next = 0
  const walk = async (): Promise<void> => {
    while (next < times) {
      const index = next
      next += 1
      await work(source.fork(index), index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, times) }, walk))
}
