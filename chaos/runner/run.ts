import { type Stack, StackError } from '@layers/local-stack'
import { type Goal, NUMBERS } from '../numbers.ts'
import { seeded } from '../workload/random.ts'
import { type BrokenCopy, CopyNotBroken } from './broken-copy.ts'
import type { Scenario, ScenarioContext, Tier, Violation } from './scenario.ts'
import { openTestDatabase, type TestDatabase } from './test-database.ts'

/** What came of one scenario; plain data, so that it can pass between processes. */
export interface Outcome {
  id: string
  claim: string
  runs: number
  faults: Record<string, number>
  violations: Violation[]
  notes: string[]
  milliseconds: number
  /** The scenario could not be run at all. */
  unusable?: boolean
}

/** How to run a scenario. */
export interface RunOptions {
  stack: Stack
  seed: string
  tier: Tier
  /** Faults to make in every database first. */
  brokenCopies?: readonly BrokenCopy[]
  /** One violation is enough, as for a mutant. */
  stopAtFirst?: boolean
}

class FirstViolation extends Error {
  override readonly name = 'FirstViolation'
}

// A broken copy can produce thousands; the first ones are enough to find the cause.
const MOST_VIOLATIONS = 50

/** Runs one scenario, checks the invariants of every database it opened, and cleans up. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const start = Date.now()
  const { id, claim } = scenario
  const outcome: Outcome = { id, claim, runs: 0, faults: {}, violations: [], notes: [], milliseconds: 0 }
  const databases: TestDatabase[] = []
  const cleanups: (() => unknown)[] = []
  const context = createContext(outcome, { ...options, scenario, databases, cleanups })
  let failure: unknown
  try {
    await scenario.run(context)
    for (const database of databases) {
      for (const each of await database.findViolations()) context.violation(each.what, each.detail)
    }
  } catch (error) {
    failure = error
    const detail = error instanceof Error ? (error.stack ?? error.message) : error
    if (!(error instanceof FirstViolation)) outcome.violations.push({ what: 'the scenario itself failed', detail })
  }
  await Promise.all(databases.map((database) => database.close()))
  for (let step = cleanups.pop(); step; step = cleanups.pop()) await step()
  // Then nothing was tested at all.
  if (failure instanceof CopyNotBroken || failure instanceof StackError) throw failure
  if (options.tier !== 'probe') checkNumbers(scenario, outcome, options.tier)
  outcome.milliseconds = Date.now() - start
  return outcome
}

function checkNumbers({ faults }: Scenario, outcome: Outcome, tier: Tier): void {
  for (const fault of faults) {
    if (!outcome.faults[fault]) outcome.violations.push({ what: `the fault "${fault}" never happened` })
  }
  for (const { what, done, wanted } of compareWithGoals(outcome, tier)) {
    if (done < wanted) outcome.violations.push({ what: `${done} ${what}, the catalogue wants ${wanted}` })
  }
}

/** What was done, next to what the catalogue asks for. */
export function compareWithGoals(
  { id, faults }: Outcome,
  tier: Tier,
): { what: string; done: number; wanted: number }[] {
  return goalsOf(id).map((goal) => {
    const done = goal.faults.reduce((total, fault) => total + (faults[fault] ?? 0), 0)
    return { what: goal.what, done, wanted: numberOf(goal, tier) }
  })
}

function goalsOf(id: string): readonly Goal[] {
  return NUMBERS[id] ?? []
}

function numberOf({ ci, release }: Pick<Goal, 'ci' | 'release'>, tier: Tier, probe = Math.max(1, Math.ceil(ci / 20))) {
  return { ci, release, probe }[tier]
}

interface ContextParts extends RunOptions {
  scenario: Scenario
  databases: TestDatabase[]
  cleanups: (() => unknown)[]
}

function createContext(outcome: Outcome, parts: ContextParts): ScenarioContext {
  const { stack, seed, tier, brokenCopies = [], stopAtFirst, scenario, databases, cleanups } = parts
  const random = seeded(`${seed}:${scenario.id}`)
  const violation = (what: string, detail?: unknown): void => {
    if (outcome.violations.length < MOST_VIOLATIONS) outcome.violations.push({ what, detail })
    if (stopAtFirst) throw new FirstViolation(what)
  }
  return {
    tier,
    random,
    stack,
    violation,
    byTier: (ci, release, probe) => numberOf({ ci, release }, tier, probe),
    goal: (fault, probe) => {
      const goal = goalsOf(scenario.id).find(({ faults }) => faults.includes(fault))
      if (!goal) throw new RangeError(`${scenario.id} has no number for "${fault}"`)
      return numberOf(goal, tier, probe)
    },
    countRuns: (times = 1) => {
      outcome.runs += times
    },
    countFault: (fault, times = 1) => {
      if (times > 0) outcome.faults[fault] = (outcome.faults[fault] ?? 0) + times
    },
    check: (condition, what, detail) => {
      if (!condition) violation(what, detail)
    },
    note: (text) => {
      outcome.notes.push(text)
    },
    openDatabase: async ({ stack: server = stack, ...cloneOptions } = {}) => {
      const clone = await server.cloneDatabase(cloneOptions)
      const database = await openTestDatabase(clone, {
        random: random.fork(`database ${databases.length}`),
        brokenCopies,
      })
      databases.push(database)
      return database
    },
    cleanup: (undo) => {
      cleanups.push(undo)
    },
  }
}
