import { equivalentReason, unusedEquivalents } from '../mutants/equivalent.ts'
import { type FunctionMutant, functionMutants } from '../mutants/function-mutants.ts'
import { type Kill, killFunctionMutant, openMutantSuite } from '../mutants/kill.ts'
import { killObjectMutant, openObjectSuite } from '../mutants/object-kill.ts'
import { type ObjectMutant, objectMutants } from '../mutants/object-mutants.ts'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'

/** L: all mutants. */
export const L: Scenario = {
  id: 'L',
  claim:
    'Every mutant is killed: a schema without one guard, check, constraint, trigger, policy or revoke, or with ' +
    'one comparison or sign changed.',
  faults: ['mutant'],
  run: (context) => runMutants(context, { functions: 1, objects: 1 }),
}

/** LS: a sample of them, short enough for every pull request. Marked guards are always in it. */
export const LS: Scenario = {
  id: 'LS',
  claim: 'Every mutant of a sample is killed; the marked guards are always in the sample.',
  faults: ['mutant'],
  run: (context) => runMutants(context, { functions: 0.03, objects: 0.1 }),
}

interface Score {
  killed: number
  equivalent: number
  survived: number
}

async function runMutants(context: ScenarioContext, share: { functions: number; objects: number }): Promise<void> {
  const suite = await openMutantSuite(context.stack, context.random.seed)
  const objects = await openObjectSuite(context, suite)
  const scores = new Map<string, Score>()
  const start = Date.now()
  let tried = 0
  const record = (mutant: FunctionMutant | ObjectMutant, kill: Kill): void => {
    const score = scores.get(mutant.kind) ?? { killed: 0, equivalent: 0, survived: 0 }
    scores.set(mutant.kind, score)
    context.countRuns()
    context.countFault('mutant')
    tried += 1
    // All of them take long: the output shows that it goes on.
    if (tried % 50 === 0) console.error(`          ${tried} mutants, ${Math.round((Date.now() - start) / 1000)} s`)
    const reason = kill ? undefined : equivalentReason(mutant)
    if (kill) score.killed += 1
    else if (reason) {
      score.equivalent += 1
      context.note(`equivalent: ${mutant.name} (${reason})`)
    } else {
      score.survived += 1
      context.violation(`survived: ${mutant.name}`)
    }
  }
  const sampled = (part: number, kind: string): boolean => kind === 'guard' || part === 1 || context.random.chance(part)
  for (const mutant of await objectMutants(objects.database.admin)) {
    if (sampled(share.objects, mutant.kind)) record(mutant, await killObjectMutant(objects, mutant))
  }
  const functions = await functionMutants(objects.database.admin)
  for (const mutant of functions) {
    if (!sampled(share.functions, mutant.kind)) continue
    record(mutant, equivalentReason(mutant) ? undefined : await killFunctionMutant(suite, mutant))
  }
  for (const entry of unusedEquivalents(functions)) context.violation(`no such mutant is left: ${entry}`)
  for (const [kind, { killed, survived, equivalent }] of scores) {
    context.note(`${kind}: ${killed} killed, ${survived} survived, ${equivalent} equivalent`)
  }
}
