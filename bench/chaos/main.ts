#!/usr/bin/env node
/** `pnpm chaos [--seed S] [--only ID,ID] [--tier probe|ci|release] [--prove]`: the fault and race tests. */
import { parseArgs } from 'node:util'
import { startStack } from '@layers/local-stack'
import { ALL_MUTANTS, ATTACKS } from './catalogue.ts'
import type { Attack, Tier } from './harness/attack.ts'
import { prove } from './harness/prove.ts'
import { printOutcome, writeJournal } from './harness/report.ts'
import { runAttack } from './harness/run.ts'

const JOURNALS = '.stack/chaos'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    tier: { type: 'string', default: 'ci' },
    prove: { type: 'boolean', default: false },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  const attacks = chosen(values.only)
  const tier = tierOf(values.tier)
  if (attacks.length === 0 || tier === undefined) {
    console.error(`usage: pnpm chaos [--seed S] [--only ${ATTACKS[0]?.id},...] [--tier ci|release] [--prove]`)
    return 2
  }
  const { seed } = values
  console.log(
    `chaos · seed ${seed} · tier ${tier} · ${attacks.length} attacks${values.prove ? ' on broken copies' : ''}`,
  )
  const stack = await startStack({ ephemeral: true })
  let passed = 0
  let failed = 0
  try {
    for (const attack of attacks) {
      const outcomes = values.prove
        ? await prove(attack, { stack, seed })
        : [await runAttack(attack, { stack, seed, tier })]
      for (const outcome of outcomes) {
        printOutcome(outcome)
        if (outcome.violations.length === 0) passed += 1
        else {
          failed += 1
          console.log(`          ${writeJournal(JOURNALS, seed, outcome)}`)
        }
      }
    }
  } finally {
    await stack.stop()
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
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
