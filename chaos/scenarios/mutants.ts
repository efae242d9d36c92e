import { type FunctionMutant, functionMutants } from '../mutants/functions.ts'
import { judgeGuard, openGuardHouse } from '../mutants/guards.ts'
import { type Death, judge, openCourt } from '../mutants/kill.ts'
import { type ObjectMutant, objectMutants } from '../mutants/objects.ts'
import { excuseFor } from '../mutants/survivors.ts'
import type { Arena, Attack } from '../runner/scenario.ts'

/** L: the number that says what the other numbers mean. */
export const L: Attack = {
  id: 'L',
  claim: 'Every lock, constraint, policy, trigger and revoke that is taken away is missed at once',
  faults: ['mutant'],
  run: (arena) => trial(arena, { functions: 1, objects: 1 }),
}

/** The same on a sample, small enough for every pull request; the locks are always in it. */
export const LS: Attack = {
  id: 'LS',
  claim: 'A sample of schemas with one guard less: each is noticed',
  faults: ['mutant'],
  run: (arena) => trial(arena, { functions: 0.03, objects: 0.1 }),
}

async function trial(arena: Arena, share: { functions: number; objects: number }): Promise<void> {
  const court = await openCourt(arena.stack, arena.random.seed)
  const house = await openGuardHouse(arena, court)
  const scores = new Map<string, { killed: number; excused: number; lived: number }>()
  let tried = 0
  const started = Date.now()
  const enter = (mutant: FunctionMutant | ObjectMutant, death: Death): void => {
    const score = scores.get(mutant.kind) ?? { killed: 0, excused: 0, lived: 0 }
    scores.set(mutant.kind, score)
    arena.ran()
    arena.reached('mutant')
    tried += 1
    // The whole list takes long: whoever waits wants to see it move.
    if (tried % 100 === 0) console.error(`          ${tried} mutants, ${Math.round((Date.now() - started) / 1000)} s`)
    const excuse = death ? undefined : excuseFor(mutant.name)
    if (death) score.killed += 1
    else if (excuse) {
      score.excused += 1
      arena.note(`lives: ${mutant.name} (${excuse})`)
    } else {
      score.lived += 1
      arena.violation(`nobody noticed: ${mutant.name}`)
    }
  }
  const sampled = (part: number, kind: string): boolean => kind === 'lock' || part === 1 || arena.random.chance(part)
  for (const mutant of await objectMutants(house.field.admin)) {
    if (sampled(share.objects, mutant.kind)) enter(mutant, await judgeGuard(house, mutant))
  }
  for (const mutant of await functionMutants(house.field.admin)) {
    if (!sampled(share.functions, mutant.kind)) continue
    enter(mutant, excuseFor(mutant.name) ? undefined : await judge(court, mutant))
  }
  for (const [kind, { killed, excused, lived }] of scores) {
    arena.note(`${kind}: ${killed} killed, ${lived} lived, ${excused} lived with a reason`)
  }
}
