#!/usr/bin/env node
/** `pnpm chaos [--seed S] [--only ID,ID] [--tier probe|ci|release] [--prove] [--lanes N]`: the fault and race tests. */
import { parseArgs } from 'node:util'
import { ALL_MUTANTS, ATTACKS } from './catalogue.ts'
import { printOutcome, printSummary, writeJournal } from './runner/report.ts'
import type { Outcome } from './runner/run.ts'
import { runInLanes } from './runner/runner-processes.ts'
import type { Attack, Tier } from './runner/scenario.ts'

const JOURNALS = '.stack/chaos'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    tier: { type: 'string', default: 'ci' },
    prove: { type: 'boolean', default: false },
    lanes: { type: 'string', default: '2' },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  const attacks = chosen(values.only)
  const tier = tierOf(values.tier)
  const lanes = Number(values.lanes)
  if (attacks.length === 0 || tier === undefined || !(lanes >= 1)) {
    console.error(
      `usage: pnpm chaos [--seed S] [--only ${ATTACKS[0]?.id},...] [--tier ci|release] [--prove] [--lanes N]`,
    )
    return 2
  }
  const { seed, prove } = values
  console.log(`chaos · seed ${seed} · tier ${tier} · ${attacks.length} attacks${prove ? ' on broken copies' : ''}`)
  const start = Date.now()
  const outcomes: Outcome[] = []
  const onOutcome = (outcome: Outcome): void => {
    outcomes.push(outcome)
    printOutcome(outcome)
    if (outcome.violations.length > 0) console.log(`          ${writeJournal(JOURNALS, seed, outcome)}`)
  }
  await runInLanes(attacks, { lanes, order: { seed, tier, prove }, onOutcome })
  if (!prove) printSummary(outcomes.toSorted(byCatalogue), tier)
  const failed = outcomes.filter(({ violations }) => violations.length > 0).length
  console.log(`${((Date.now() - start) / 1000).toFixed(0)} s`)
  console.log(`${outcomes.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

function byCatalogue(a: Outcome, b: Outcome): number {
  const place = ({ id }: Outcome): number => ATTACKS.findIndex((attack) => attack.id === id)
  return place(a) - place(b)
}

function chosen(only: string | undefined): readonly Attack[] {
  if (only === undefined) return values.tier === 'release' ? [...ATTACKS, ALL_MUTANTS] : ATTACKS
  const wanted = only.toUpperCase().split(',')
  // A group is named by its letter: `--only A`.
  if (wanted.includes('L')) return [ALL_MUTANTS]
  return ATTACKS.filter(({ id }) => wanted.includes(id) || wanted.includes(id.slice(0, 1)))
}

function tierOf(name: string): Tier | undefined {
  return name === 'probe' || name === 'ci' || name === 'release' ? name : undefined
}
