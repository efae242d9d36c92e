import type { Tier } from './scenario.ts'

/** The command line of a runner process, as JSON. After that it receives the ids of scenarios, one at a time. */
export interface RunnerTask {
  seed: string
  tier: Tier
  /** Run on broken copies. */
  prove: boolean
}
