import type { Stack } from '@layers/local-stack'
import pg from 'pg'
import { runScenario } from '../runner/run.ts'
import type { Scenario } from '../runner/scenario.ts'
import { E3 } from '../scenarios/access/catalog-rules.ts'
import { A1 } from '../scenarios/barrier-races.ts'
import { C12 } from '../scenarios/model-based/scenario.ts'
import { A5 } from '../scenarios/one-outcome-per-call.ts'
import { H7 } from '../scenarios/signup.ts'
import type { FunctionMutant } from './function-mutants.ts'
import { transcript } from './transcript/transcript.ts'

/** What found the mutant, and by what; undefined when nothing did. */
export type Kill = { by: string; because: string } | undefined

/** What is needed to run function mutants. */
export interface MutantSuite {
  stack: Stack
  seed: string
  /** The transcript of the real schema. */
  expected: readonly string[]
}

/** Takes the transcript of the real schema, twice, to be sure that it does not vary. */
export async function openMutantSuite(stack: Stack, seed: string): Promise<MutantSuite> {
  const expected = await transcriptOf(stack)
  const again = await transcriptOf(stack)
  const varying = expected.findIndex((line, index) => line !== again[index])
  if (varying >= 0) {
    const difference = firstDifference(expected[varying] ?? '', again[varying] ?? '')
    throw new Error(`the transcript varies by itself: ${difference}`)
  }
  return { stack, seed, expected }
}

/** Tries to kill a function mutant: by the transcript first, then by the scenarios of its kind. */
export async function killFunctionMutant(suite: MutantSuite, mutant: FunctionMutant): Promise<Kill> {
  const kill = await killByTranscript(suite, mutant.sql)
  if (kill) return kill
  const { stack, seed } = suite
  for (const scenario of scenariosFor(mutant)) {
    const brokenCopies = [{ name: mutant.name, sql: mutant.sql }]
    const { violations } = await runScenario(scenario, { stack, seed, tier: 'probe', brokenCopies, stopAtFirst: true })
    if (violations[0]) return { by: scenario.id, because: violations[0].what }
  }
  return undefined
}

/** Compares the transcripts of the real and of the changed schema. */
export async function killByTranscript({ stack, expected }: MutantSuite, change: string): Promise<Kill> {
  let lines: string[]
  try {
    lines = await transcriptOf(stack, change)
  } catch (error) {
    return { by: 'Postgres', because: String(error instanceof Error ? error.message : error) }
  }
  const first = lines.findIndex((line, index) => line !== expected[index])
  return first < 0 ? undefined : { by: 'transcript', because: lines[first] ?? '' }
}

function scenariosFor({ kind }: FunctionMutant): readonly Scenario[] {
  if (kind === 'search path') return [E3]
  return kind === 'guard' ? [A1, A5, H7, C12] : [C12, A1]
}

async function transcriptOf(stack: Stack, change?: string): Promise<string[]> {
  const clone = await stack.cloneDatabase()
  const client = new pg.Client({ connectionString: clone.adminDbUrl, statement_timeout: 3000 })
  try {
    await client.connect()
    if (change !== undefined) await client.query(change)
    return await transcript(client)
  } finally {
    await client.end()
    await clone.drop()
  }
}

function firstDifference(one: string, other: string): string {
  const at = [...one].findIndex((letter, index) => letter !== other[index])
  const around = (text: string): string => text.slice(Math.max(0, at - 60), at + 60)
  return `${one.slice(0, 60)} ... "${around(one)}" and "${around(other)}"`
}
