import type { Stack } from '@layers/local-stack'
import type { Random } from '../workload/random.ts'
import type { Field, FieldOptions } from './test-database.ts'

/** How hard to try: `probe` is a taste, for mutants; `ci` fits a pull request; `release` takes hours. */
export type Tier = 'probe' | 'ci' | 'release'

/** One entry of the catalogue: tries to break a promise, and says so when it could. */
export interface Attack {
  /** As in the catalogue: A1, B2 ... */
  id: string
  /** The claim that holds, as a sentence. */
  claim: string
  /** Faults that must be met at least once, or the attack has proved nothing. */
  faults: readonly string[]
  /** Sabotage that this attack has to notice; see `pnpm chaos --prove`. */
  broken?: readonly Sabotage[]
  /** It judges how long something takes, so nothing else may run meanwhile. */
  alone?: boolean
  /** It takes minutes, so it is begun early: no lane should be left waiting for it. */
  long?: boolean
  run(arena: Arena): Promise<void>
}

/** A deliberate fault of the schema, applied to every database that an attack opens. */
export interface Sabotage {
  name: string
  /** Statements for the superuser. */
  sql?: string
  /** Or changes in the text of functions of ours. */
  edits?: readonly { function: string; from: string | RegExp; to: string }[]
}

/** A promise that did not hold. */
export interface Violation {
  what: string
  detail?: unknown
}

/** What an attack works with. */
export interface Arena {
  readonly tier: Tier
  readonly random: Random
  readonly stack: Stack
  /** How many: by tier. A probe does a twentieth of CI unless it is told. For what the catalogue numbers: `goal`. */
  count(ci: number, release: number, probe?: number): number
  /** The number of the catalogue that this fault counts towards, in this tier; see numbers.ts. */
  goal(fault: string, probe?: number): number
  /** Counts attempts. */
  ran(times?: number): void
  /** Counts a fault that really happened. */
  reached(fault: string, times?: number): void
  /** Records a violation. */
  violation(what: string, detail?: unknown): void
  /** Records a violation unless the condition holds. */
  check(condition: boolean, what: string, detail?: unknown): void
  /** A note for the reader, printed below the attack's line. */
  note(text: string): void
  /** A database of its own, dropped when the attack ends. */
  open(options?: FieldOptions): Promise<Field>
  /** Something to undo when the attack ends, whatever happens. */
  cleanup(undo: () => unknown): void
}
