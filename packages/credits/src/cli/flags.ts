/** Inner names of values, and the flags that people type for them. */
const FLAGS: Readonly<Record<string, string>> = {
  userId: 'user',
  accountId: 'user',
  isAdmin: 'user',
  idempotencyKey: 'key',
  expiresInSeconds: 'expires-in-days',
  planId: 'plan',
  modelId: 'model',
  'charge.amount': 'amount',
}

/**
 * The flag of a value by its path in an error, when the command has it.
 * @example flagOf('expiresInSeconds', ['user', 'expires-in-days']) // '--expires-in-days'
 */
export function flagOf(path: string, names: readonly string[]): string | undefined {
  const name = FLAGS[path] ?? path.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return names.includes(name) ? `--${name}` : undefined
}

/**
 * The known names nearest to one that is not known, the nearest first; empty when none is near.
 * @example nearest('grnt', ['grant', 'export']) // ['grant']
 */
export function nearest(name: string, known: readonly string[], most = 3): string[] {
  const limit = Math.max(1, Math.floor(name.length / 3))
  return known
    .map((candidate) => ({ candidate, distance: distanceOf(name.toLowerCase(), candidate.toLowerCase(), limit) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate)
}

/** Letters to insert, delete or replace; more than `limit` when the lengths alone say so. */
function distanceOf(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? limit + 1
}
