import { appendFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { styleText } from 'node:util'
import { compareWithGoals, type Outcome } from './run.ts'
import type { Tier } from './scenario.ts'

/** One line per scenario: runs, faults, violations. */
export function printOutcome({ id, claim, runs, faults, violations, notes, milliseconds }: Outcome): void {
  const passed = violations.length === 0
  const verdict = passed ? styleText('green', 'ok  ') : styleText('red', 'FAIL')
  const counts = Object.entries(faults).map(([fault, count]) => `${fault} ${count}`)
  const facts = [`${runs} runs`, ...counts, `${violations.length} violations`, `${(milliseconds / 1000).toFixed(1)} s`]
  console.log(`${verdict} ${id.padEnd(4)} ${claim}\n          ${facts.join(' · ')}`)
  for (const note of notes) console.log(`          ${note}`)
  for (const { what, detail } of violations.slice(0, 8)) {
    console.log(`          ${styleText('red', what)} ${detail === undefined ? '' : textOf(detail).slice(0, 400)}`)
  }
}

/** At the end: what each scenario did, next to the number of the catalogue, and how long it took. */
export function printSummary(outcomes: readonly Outcome[], tier: Tier): void {
  console.log('')
  for (const outcome of outcomes) {
    const goals = compareWithGoals(outcome, tier).map(({ what, done, wanted }) => `${done} of ${wanted} ${what}`)
    const { id, runs, violations, milliseconds } = outcome
    const findings = violations.length === 0 ? '' : styleText('red', ` · ${violations.length} violations`)
    const duration = `${(milliseconds / 1000).toFixed(0)} s`.padStart(6)
    console.log(`${id.padEnd(4)} ${duration}  ${String(runs).padStart(8)} runs  ${goals.join(', ')}${findings}`)
  }
}

/** Everything about a failure, one JSON object per line. Returns the name of the file. */
export function writeJournal(folder: string, seed: string, { id, violations, faults, runs }: Outcome): string {
  mkdirSync(folder, { recursive: true })
  const file = path.join(folder, `${id}-${seed}.jsonl`)
  const head = { scenario: id, seed, runs, faults, replay: `pnpm chaos --seed ${seed} --only ${id}` }
  for (const entry of [head, ...violations]) appendFileSync(file, `${textOf(entry)}\n`)
  return file
}

/** JSON of any value, BigInts and errors included. */
export function textOf(value: unknown): string {
  const plain = (_key: string, item: unknown): unknown => {
    if (typeof item === 'bigint') return item.toString()
    if (item instanceof Error) return { ...item, name: item.name, message: item.message, cause: item.cause }
    return item
  }
  return JSON.stringify(value, plain) ?? String(value)
}
