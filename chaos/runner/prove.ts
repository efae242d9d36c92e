import { CopyNotBroken } from './broken-copy.ts'
import { type Outcome, type RunOptions, runScenario } from './run.ts'
import type { Scenario } from './scenario.ts'

/**
 * Runs a scenario on each broken copy that it names. A copy in which it finds nothing is the violation: then a run
 * without findings on the real schema means nothing either.
 */
export async function prove(scenario: Scenario, options: Pick<RunOptions, 'stack' | 'seed'>): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const copy of scenario.broken ?? []) {
    const run = runScenario(scenario, { ...options, tier: 'probe', brokenCopies: [copy], stopAtFirst: true })
    const outcome = await run.catch((error: unknown) => outcomeOfUnusableCopy(scenario, error))
    const claim = `The scenario finds out that ${copy.name}`
    const [first] = outcome.violations
    if (outcome.unusable) outcomes.push({ ...outcome, claim })
    else if (first === undefined) outcomes.push({ ...outcome, claim, violations: [{ what: 'nothing was found' }] })
    else outcomes.push({ ...outcome, claim, violations: [], notes: [`found: ${first.what}`] })
  }
  return outcomes
}

function outcomeOfUnusableCopy({ id, claim }: Scenario, error: unknown): Outcome & { unusable: true } {
  if (!(error instanceof CopyNotBroken)) throw error
  const violations = [{ what: `${error.message}: ${error.cause}` }]
  return { id, claim, runs: 0, faults: {}, violations, notes: [], milliseconds: 0, unusable: true }
}
