import type { FunctionMutant } from './function-mutants.ts'
import type { ObjectMutant } from './object-mutants.ts'

/** A mutant that behaves as the original in every case that can be tested. */
interface Equivalent {
  kind: FunctionMutant['kind']
  /** The function. */
  owner: string
  /** The guard, or the operands around the operator; see {@link FunctionMutant}. */
  place: string
  reason: string
}

const SAME_INSTANT = 'it differs only when two readings of the clock are equal to the microsecond'

const EQUIVALENT: readonly Equivalent[] = []

/** The names of times. A comparison with one of them cannot be tested at the edge. */
const TIMES = ['since', 'now', 'effective_from', 'end_time', 'p_from', 'p_to', 'p_at', 'p_time', 'p_now']
const TIME = new RegExp(`(^|[._])(\\w*_(at|until)|clock_timestamp|${TIMES.join('|')})\\(?$`)

/** Why a mutant counts as equivalent; undefined when it has to be killed. */
export function equivalentReason(mutant: FunctionMutant | ObjectMutant): string | undefined {
  if (!('owner' in mutant)) return noAccessReason(mutant)
  const { kind, owner, place } = mutant
  const entry = EQUIVALENT.find((each) => each.kind === kind && each.owner === owner && each.place === place)
  if (entry) return entry.reason
  return kind === 'comparison' && place.split(' ').some((operand) => TIME.test(operand)) ? SAME_INSTANT : undefined
}

/** Entries of the list that no mutant matches any more. */
export function unusedEquivalents(mutants: readonly FunctionMutant[]): string[] {
  return EQUIVALENT.filter(
    (each) =>
      !mutants.some(({ kind, owner, place }) => each.kind === kind && each.owner === owner && each.place === place),
  ).map(({ kind, owner, place }) => `${kind} of ${owner}: ${place}`)
}

function noAccessReason({ kind, name }: ObjectMutant): string | undefined {
  if (kind !== 'policy' || !/ \w+_no_access( |$)/.test(name)) return undefined
  return 'no API role has USAGE on the schema: the policy is for the advisors of Supabase'
}
