#!/usr/bin/env node
/** `pnpm chaos [--seed S] [--only ID,ID] [--tier probe|ci|release] [--prove] [--processes N]`: fault and race tests. */
import { parseArgs } from 'node:util'
import { ALL_MUTANTS, SCENARIOS } from './catalogue.ts'
import { printOutcome, printSummary, writeJournal } from './runner/report.ts'
import type { Outcome } from './runner/run.ts'
import { runInProcesses } from './runner/runner-processes.ts'
import type { Scenario, Tier } from './runner/scenario.ts'

const JOURNALS = '.stack/chaos'
const USAGE = 'usage: pnpm chaos [--seed S] [--only A1,B,...] [--tier probe|ci|release] [--prove] [--processes N]'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    tier: { type: 'string', default: 'ci' },
    prove: { type: 'boolean', default: false },
    processes: { type: 'string', default: '2' },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  const { seed, prove } = values
  const scenarios = selectScenarios(values.only, prove)
  const tier = tierOf(values.tier)
  const processes = Number(values.processes)
  if (scenarios.length === 0 || tier === undefined || !(processes >= 1)) {
    console.error(USAGE)
    return 2
  }
  console.log(`chaos · seed ${seed} · tier ${tier} · ${scenarios.length} scenarios${prove ? ' on broken copies' : ''}`)
  const start = Date.now()
  const outcomes: Outcome[] = []
  const onOutcome = (outcome: Outcome): void => {
    outcomes.push(outcome)
    printOutcome(outcome)
    if (outcome.violations.length > 0) console.log(`          ${writeJournal(JOURNALS, seed, outcome)}`)
  }
  await runInProcesses(scenarios, { processes, task: { seed, tier, prove }, onOutcome })
  if (!prove) printSummary(outcomes.toSorted(byCatalogue), tier)
  const failed = outcomes.filter(({ violations }) => violations.length > 0).length
  console.log(`${((Date.now() - start) / 1000).toFixed(0)} s`)
  console.log(`${outcomes.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

function byCatalogue(a: Outcome, b: Outcome): number {
  const place = ({ id }: Outcome): number => SCENARIOS.findIndex((scenario) => scenario.id === id)
  return place(a) - place(b)
}

function selectScenarios(only: string | undefined, prove: boolean): readonly Scenario[] {
  const all = values.tier === 'release' && !prove ? [...SCENARIOS, ALL_MUTANTS] : SCENARIOS
  const wanted = only?.toUpperCase().split(',')
  // All mutants take long, so `L` means them and not the group. Every other letter names a group.
  if (wanted?.includes('L')) return [ALL_MUTANTS]
  const selected = wanted ? all.filter(({ id }) => wanted.includes(id) || wanted.includes(id.slice(0, 1))) : all
  return prove ? selected.filter(({ broken }) => broken) : selected
}

function tierOf(name: string): Tier | undefined {
  return name === 'probe' || name === 'ci' || name === 'release' ? name : undefined
}
