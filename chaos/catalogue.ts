import type { Scenario } from './runner/scenario.ts'
import { E3 } from './scenarios/access/catalog-rules.ts'
import { E2 } from './scenarios/access/other-users-rows.ts'
import { E1 } from './scenarios/access/role-matrix.ts'
import { E5 } from './scenarios/access/shadows.ts'
import { E4 } from './scenarios/access/tampering.ts'
import { C8, C11 } from './scenarios/amounts.ts'
import { A1 } from './scenarios/barrier-races.ts'
import { A2, A3, A4, A9, A10 } from './scenarios/bursts.ts'
import { B1, B2 } from './scenarios/database-kills.ts'
import { G } from './scenarios/malformed-input.ts'
import { A6, A7, A8 } from './scenarios/mixed-load.ts'
import { C12 } from './scenarios/model-based/scenario.ts'
import { L, LS } from './scenarios/mutants.ts'
import { B5, B6 } from './scenarios/network-faults.ts'
import { A5 } from './scenarios/one-outcome-per-call.ts'
import { D1, D2, D3 } from './scenarios/price-precision.ts'
import { C6, C7 } from './scenarios/prices-and-margins.ts'
import { C1 } from './scenarios/settle-formula.ts'
import { H1, H2, H3, H5, H6, H7 } from './scenarios/signup.ts'
import { C5 } from './scenarios/unknown-keys.ts'
import { B4 } from './scenarios/worker-kills.ts'

/** Every scenario, in the order of the catalogue in README.md. */
export const SCENARIOS: readonly Scenario[] = [
  ...[A1, A2, A3, A4, A5, A6, A7, A8, A9, A10],
  ...[B1, B2, B4, B5, B6],
  ...[C1, C5, C6, C7, C8, C11, C12],
  ...[D1, D2, D3],
  ...[E1, E2, E3, E4, E5],
  ...[G],
  ...[H1, H2, H3, H5, H6, H7],
  ...[LS],
]

/** All mutants: too long for every pull request, so only by name or in the release tier. */
export const ALL_MUTANTS: Scenario = L

/** The scenario with this id. */
export function findScenario(id: string): Scenario | undefined {
  return [...SCENARIOS, ALL_MUTANTS].find((scenario) => scenario.id === id)
}
