import type { Stack } from '@layers/local-stack'
import type { Random } from '../workload/random.ts'
import type { BrokenCopy } from './broken-copy.ts'
import type { TestDatabase, TestDatabaseOptions } from './test-database.ts'

/** How much to run: `probe` is short enough for mutants, `ci` for a pull request; `release` takes hours. */
export type Tier = 'probe' | 'ci' | 'release'

/** One entry of the catalogue: tries to break a promise of the ledger, and reports each violation. */
export interface Scenario {
  /** As in the catalogue: A1, B2 ... The letter is the group. */
  id: string
  /** The promise, as a sentence. */
  claim: string
  /** Faults that must happen at least once. A run without one of them fails, because it has shown nothing. */
  faults: readonly string[]
  /** Broken copies in which this scenario must find a violation; see `pnpm chaos --prove`. */
  broken?: readonly BrokenCopy[]
  /** It asserts durations, so nothing else runs at the same time. */
  alone?: boolean
  /** It takes minutes, so it starts early. */
  long?: boolean
  run(context: ScenarioContext): Promise<void>
}

/** A promise that was broken. */
export interface Violation {
  what: string
  detail?: unknown
}

/** What a scenario works with. */
export interface ScenarioContext {
  readonly tier: Tier
  readonly random: Random
  readonly stack: Stack
  /** A number by tier; a probe runs a twentieth of `ci` unless it is given. Numbers of the catalogue: `goal`. */
  byTier(ci: number, release: number, probe?: number): number
  /** The number of the catalogue that this fault counts towards, in this tier; see numbers.ts. */
  goal(fault: string, probe?: number): number
  /** Counts runs. */
  countRuns(times?: number): void
  /** Counts a fault that has happened. */
  countFault(fault: string, times?: number): void
  /** Records a violation. */
  violation(what: string, detail?: unknown): void
  /** Records a violation unless the condition is true. */
  check(condition: boolean, what: string, detail?: unknown): void
  /** A remark, printed below the line of the scenario. */
  note(text: string): void
  /** A database of its own, dropped when the scenario ends. */
  openDatabase(options?: TestDatabaseOptions): Promise<TestDatabase>
  /** Something to undo when the scenario ends, after a failure too. */
  cleanup(undo: () => unknown): void
}
