import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type pg from 'pg'
import { invalidInput } from '../core/errors.ts'
import { callFunction } from './database.ts'

const PER_PAGE = 5_000

/** The last transaction of an account: kept elsewhere, it finds a chain that was rewritten. */
export interface ChainHead {
  accountId: string
  /** Number of the account's transactions. */
  version: number
  /** Hash of the last one, hexadecimal; empty without transactions. */
  hash: string
}

/** A head of then that is not in the ledger of now. */
export interface HeadFault {
  accountId: string
  fault: string
  expected: string | null
  actual: string | null
}

/** The heads of all chains, or of one, a page at a time. */
export async function* chainHeads(client: pg.Client, accountId?: string): AsyncGenerator<ChainHead> {
  let after: string | null = null
  do {
    const page: { data: ChainHead[]; next: string | null } = await callFunction(client, 'credits_get_heads', [
      after,
      PER_PAGE,
    ])
    for (const head of page.data) if (accountId === undefined || head.accountId === accountId) yield head
    after = page.next
  } while (after !== null)
}

/** Writes heads as a JSON document, a head a line, and replaces the file only when it is complete. */
export async function writeHeads(file: string, heads: AsyncIterable<ChainHead>): Promise<number> {
  const lines: string[] = []
  for await (const head of heads) lines.push(JSON.stringify(head))
  const takenAt = JSON.stringify(new Date().toISOString())
  const partial = `${file}.${process.pid}.partial`
  writeFileSync(partial, `{"takenAt":${takenAt},"heads":[\n${lines.join(',\n')}\n]}\n`, { mode: 0o600 })
  renameSync(partial, file)
  return lines.length
}

/**
 * Reads heads from a file of `credits verify --heads`, or from the manifest of `credits export`.
 * @throws CreditError `INVALID_INPUT` when the file has none
 */
export function readHeads(file: string): ChainHead[] {
  let heads: unknown
  try {
    heads = (JSON.parse(readFileSync(file, 'utf8')) as { heads?: unknown } | null)?.heads
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    throw invalidInput('--against', `${file} ${reason}`)
  }
  if (Array.isArray(heads) && heads.every(isHead)) return heads
  throw invalidInput('--against', `${file} has no chain heads`)
}

function isHead(value: unknown): value is ChainHead {
  const { accountId, version, hash } = (value ?? {}) as Partial<ChainHead>
  return typeof accountId === 'string' && typeof version === 'number' && typeof hash === 'string'
}

/** Compares heads of an earlier day with the ledger. */
export async function compareHeads(client: pg.Client, heads: readonly ChainHead[]): Promise<HeadFault[]> {
  const faults: HeadFault[] = []
  for (let start = 0; start < heads.length; start += PER_PAGE) {
    const page = JSON.stringify(heads.slice(start, start + PER_PAGE))
    const answer = await callFunction<{ faults: HeadFault[] }>(client, 'credits_verify_heads', [page])
    faults.push(...answer.faults)
  }
  return faults
}
