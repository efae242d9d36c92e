import { A2, A3, A4, A9, A10 } from './attacks/a-storms.ts'
import { A6, A7, A8 } from './attacks/a-traffic.ts'
import { A1 } from './attacks/a1-barrier.ts'
import { A5 } from './attacks/a5-endings.ts'
import { B1, B2 } from './attacks/b-kills.ts'
import { B5, B6 } from './attacks/b-network.ts'
import { B4 } from './attacks/b4-workers.ts'
import { C1, C5, C6, C7, C8, C11 } from './attacks/c-cases.ts'
import { C12 } from './attacks/c12-fuzz.ts'
import { D1, D2, D3 } from './attacks/d-precision.ts'
import { E2, E3, E5 } from './attacks/e-surface.ts'
import { E1 } from './attacks/e1-matrix.ts'
import { E4 } from './attacks/e4-tamper.ts'
import { G } from './attacks/g-poison.ts'
import { H1, H2, H3, H5, H6 } from './attacks/h-signup.ts'
import { L, LS } from './attacks/l-mutants.ts'
import type { Attack } from './harness/attack.ts'

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
