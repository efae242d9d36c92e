import type { Attack } from './runner/scenario.ts'
import { E2, E3, E5 } from './scenarios/access/api-surface.ts'
import { E1 } from './scenarios/access/role-matrix.ts'
import { E4 } from './scenarios/access/tampering.ts'
import { A1 } from './scenarios/barrier-races.ts'
import { A2, A3, A4, A9, A10 } from './scenarios/bursts.ts'
import { B1, B2 } from './scenarios/database-kills.ts'
import { C1, C5, C6, C7, C8, C11 } from './scenarios/ledger-rules.ts'
import { G } from './scenarios/malformed-input.ts'
import { A6, A7, A8 } from './scenarios/mixed-load.ts'
import { C12 } from './scenarios/model-based.ts'
import { L, LS } from './scenarios/mutants.ts'
import { B5, B6 } from './scenarios/network-faults.ts'
import { A5 } from './scenarios/one-outcome-per-call.ts'
import { D1, D2, D3 } from './scenarios/price-precision.ts'
import { H1, H2, H3, H5, H6 } from './scenarios/signup.ts'
import { B4 } from './scenarios/worker-kills.ts'

/** Every attack, in the order of the catalogue. */
export const ATTACKS: readonly Attack[] = [
  ...[A1, A2, A3, A4, A5, A6, A7, A8, A9, A10],
  ...[B1, B2, B4, B5, B6],
  ...[C1, C5, C6, C7, C8, C11, C12],
  ...[D1, D2, D3],
  ...[E1, E2, E3, E4, E5],
  ...[G],
  ...[H1, H2, H3, H5, H6],
  ...[LS],
]

/** All mutants: too long for every pull request, so only by name or in the release tier. */
export const ALL_MUTANTS: Attack = L

/** The attack with this id. */
export function attackCalled(id: string): Attack | undefined {
  return [...ATTACKS, ALL_MUTANTS].find((attack) => attack.id === id)
}
