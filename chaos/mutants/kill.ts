import type { Stack } from '@layers/local-stack'
import pg from 'pg'
import { runAttack } from '../runner/run.ts'
import type { Attack } from '../runner/scenario.ts'
import { E3 } from '../scenarios/access/api-surface.ts'
import { A1 } from '../scenarios/barrier-races.ts'
import { C12 } from '../scenarios/model-based.ts'
import type { FunctionMutant } from './functions.ts'
import { transcript } from './transcript.ts'

/** How a mutant died; undefined when it lives. */
export type Death = { by: string; because: string } | undefined

/** What is needed to judge function mutants. */
export interface Court {
  stack: Stack
  seed: string
  /** What the real schema answers. */
  original: readonly string[]
}

/** Prepares the court: the real schema's answers, taken twice to be sure that they do not vary. */
export async function openCourt(stack: Stack, seed: string): Promise<Court> {
  const original = await answersOf(stack)
  const again = await answersOf(stack)
  const varying = original.findIndex((line, index) => line !== again[index])
  if (varying >= 0)
    throw new Error(
      `the transcript varies by itself: ${firstDifference(original[varying] ?? '', again[varying] ?? '')}`,
    )
  return { stack, seed, original }
}

/** Tries to notice a changed function: the quick suite first, then the races. */
export async function judge({ stack, seed, original }: Court, mutant: FunctionMutant): Promise<Death> {
  const quick = await judgeSql({ stack, seed, original }, mutant.definition)
  if (quick) return quick
  for (const attack of suiteFor(mutant)) {
    const sabotage = [{ name: mutant.name, sql: mutant.definition }]
    const { violations } = await runAttack(attack, { stack, seed, tier: 'probe', sabotage, stopAtFirst: true })
    if (violations[0]) return { by: attack.id, because: violations[0].what }
  }
  return undefined
}

/** The quick suite alone: does a changed schema answer anything differently? */
export async function judgeSql({ stack, original }: Court, change: string): Promise<Death> {
  let answers: string[]
  try {
    answers = await answersOf(stack, change)
  } catch (error) {
    return { by: 'Postgres', because: String(error instanceof Error ? error.message : error) }
  }
  const first = answers.findIndex((line, index) => line !== original[index])
  return first < 0 ? undefined : { by: 'transcript', because: answers[first] ?? '' }
}

function suiteFor({ kind }: FunctionMutant): readonly Attack[] {
  if (kind === 'definer') return [E3]
  return kind === 'comparison' || kind === 'sign' ? [C12, A1] : [A1, C12]
}

async function answersOf(stack: Stack, change?: string): Promise<string[]> {
  const database = await stack.cloneDatabase()
  const client = new pg.Client({ connectionString: database.adminDbUrl, statement_timeout: 3000 })
  try {
    await client.connect()
    if (change !== undefined) await client.query(change)
    return await transcript(client)
  } finally {
    await client.end()
    await database.drop()
  }
}

function firstDifference(one: string, other: string): string {
  const at = [...one].findIndex((letter, index) => letter !== other[index])
  return `${one.slice(0, 60)} ... ${one.slice(Math.max(0, at - 60), at + 60)}`
}
