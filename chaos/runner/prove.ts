import { type Outcome, type RunOptions, runAttack } from './run.ts'
import type { Attack } from './scenario.ts'
import { SabotageFailed } from './test-database.ts'

/**
 * Runs an attack on each broken copy that it names. A copy in which it notices nothing is the violation: then its
 * silence on the real thing means nothing either.
 */
export async function prove(attack: Attack, options: Pick<RunOptions, 'stack' | 'seed'>): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const sabotage of attack.broken ?? []) {
    const outcome = await runAttack(attack, { ...options, tier: 'probe', sabotage: [sabotage] }).catch(unusable)
    if (typeof outcome === 'string') {
      const { id, claim } = attack
      outcomes.push({ ...NOTHING, id, claim, violations: [{ what: outcome }] })
      continue
    }
    const noticed = outcome.violations[0]
    outcomes.push({
      ...outcome,
      claim: `notices that ${sabotage.name}`,
      violations: noticed ? [] : [{ what: 'nothing was noticed' }],
      notes: noticed ? [`${outcome.violations.length} times; first: ${noticed.what}`] : [],
    })
  }
  return outcomes
}

const NOTHING = { runs: 0, faults: {}, notes: [], milliseconds: 0 }

function unusable(error: unknown): string {
  if (error instanceof SabotageFailed) return error.message
  throw error
}
