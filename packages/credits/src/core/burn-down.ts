/** The parts of a grant's lot that decide when it is used. */
export interface BurnableLot {
  readonly bucket: 'plan' | 'add-on'
  /** Lower is used first. */
  readonly priority: number
  /** A time as a number, or Infinity: never. */
  readonly expiresAt: number
  /** Position in time: oldest first. */
  readonly sequence: number
}

/**
 * The burn-down order, as a comparator: plan credits before add-on credits, then priority, then what expires
 * soonest, then the oldest. What the user would lose first is used first. The database orders its lots the same way.
 * @example lots.sort(compareLots)
 */
export function compareLots(a: BurnableLot, b: BurnableLot): number {
  if (a.bucket !== b.bucket) return a.bucket === 'plan' ? -1 : 1
  if (a.priority !== b.priority) return a.priority - b.priority
  // Not a subtraction: Infinity - Infinity is not a number, and two lots that never expire are equal.
  if (a.expiresAt !== b.expiresAt) return a.expiresAt < b.expiresAt ? -1 : 1
  return a.sequence - b.sequence
}
