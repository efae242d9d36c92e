import type { Tier } from './scenario.ts'

/** What a lane is told on its command line, as JSON; after that it is sent the ids of attacks, one at a time. */
export interface LaneOrder {
  seed: string
  tier: Tier
  /** On broken copies. */
  prove: boolean
}
