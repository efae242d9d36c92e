import { type Stack, StackError } from '@layers/local-stack'
import { type Goal, NUMBERS } from '../numbers.ts'
import { seeded } from '../workload/random.ts'
import type { Arena, Attack, Sabotage, Tier, Violation } from './scenario.ts'
import { type Field, openField, SabotageFailed } from './test-database.ts'

/** What came of one attack; plain data, so that it can pass between processes. */
export interface Outcome {
  id: string
  claim: string
  runs: number
  faults: Record<string, number>
  violations: Violation[]
  notes: string[]
  milliseconds: number
}

/** How to run an attack. */
export interface RunOptions {
  stack: Stack
  seed: string
  tier: Tier
  /** Damage to do to every database first. */
  sabotage?: readonly Sabotage[]
  /** One violation is enough: a mutant is dead already. */
  stopAtFirst?: boolean
}

class Enough extends Error {
  override readonly name = 'Enough'
}

// A broken copy can produce thousands; the first ones say it all.
const MOST_VIOLATIONS = 50

/** Runs one attack, checks the invariants of every database it opened, and clears up. */
export async function runAttack(attack: Attack, options: RunOptions): Promise<Outcome> {
  const start = Date.now()
  const { id, claim } = attack
  const outcome: Outcome = { id, claim, runs: 0, faults: {}, violations: [], notes: [], milliseconds: 0 }
  const fields: Field[] = []
  const undo: (() => unknown)[] = []
  const arena = arenaOf(outcome, { ...options, attack, fields, undo })
  let failure: unknown
  try {
    await attack.run(arena)
    for (const field of fields) for (const each of await field.invariants()) arena.violation(each.what, each.detail)
  } catch (error) {
    failure = error
    const detail = error instanceof Error ? (error.stack ?? error.message) : error
    if (!(error instanceof Enough)) outcome.violations.push({ what: 'the attack itself failed', detail })
  }
  await Promise.all(fields.map((field) => field.close()))
  for (let step = undo.pop(); step; step = undo.pop()) await step()
  // Then nothing was attacked at all.
  if (failure instanceof SabotageFailed || failure instanceof StackError) throw failure
  if (options.tier !== 'probe') {
    for (const fault of attack.faults) {
      if (!outcome.faults[fault]) arena.violation(`the fault "${fault}" was never reached: nothing was proved`)
    }
    for (const { what, done, wanted } of reckon(outcome, options.tier)) {
      arena.check(done >= wanted, `${done} ${what}, the catalogue wants ${wanted}`)
    }
  }
  outcome.milliseconds = Date.now() - start
  return outcome
}

/** What was attempted, beside what the catalogue asks for. */
export function reckon({ id, faults }: Outcome, tier: Tier): { what: string; done: number; wanted: number }[] {
  return goalsOf(id).map((goal) => {
    const done = goal.faults.reduce((total, fault) => total + (faults[fault] ?? 0), 0)
    return { what: goal.what, done, wanted: numberOf(goal, tier) }
  })
}

function goalsOf(id: string): readonly Goal[] {
  return NUMBERS[id] ?? []
}

function numberOf({ ci, release }: Goal, tier: Tier, probe = Math.max(1, Math.ceil(ci / 20))): number {
  return { ci, release, probe }[tier]
}

interface ArenaParts extends RunOptions {
  attack: Attack
  fields: Field[]
  undo: (() => unknown)[]
}

function arenaOf(
  outcome: Outcome,
  { stack, seed, tier, sabotage = [], stopAtFirst, attack, fields, undo }: ArenaParts,
): Arena {
  const random = seeded(`${seed}:${attack.id}`)
  const violation = (what: string, detail?: unknown): void => {
    if (outcome.violations.length < MOST_VIOLATIONS) outcome.violations.push({ what, detail })
    if (stopAtFirst) throw new Enough(what)
  }
  return {
    tier,
    random,
    stack,
    violation,
    count: (ci, release, probe = Math.max(1, Math.ceil(ci / 20))) => ({ ci, release, probe })[tier],
    goal: (fault, probe) => {
      const goal = goalsOf(attack.id).find(({ faults }) => faults.includes(fault))
      if (!goal) throw new RangeError(`${attack.id} has no number for "${fault}"`)
      return numberOf(goal, tier, probe)
    },
    ran: (times = 1) => {
      outcome.runs += times
    },
    reached: (fault, times = 1) => {
      if (times > 0) outcome.faults[fault] = (outcome.faults[fault] ?? 0) + times
    },
    check: (condition, what, detail) => {
      if (!condition) violation(what, detail)
    },
    note: (text) => {
      outcome.notes.push(text)
    },
    open: async (fieldOptions = {}) => {
      const { stack: server = stack, ...cloneOptions } = fieldOptions
      const database = await server.cloneDatabase(cloneOptions)
      const field = await openField(database, { random: random.fork(`field ${fields.length}`), sabotage })
      fields.push(field)
      return field
    },
    cleanup: (step) => {
      undo.push(step)
    },
  }
}
