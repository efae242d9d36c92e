import { createReadStream, createWriteStream, renameSync } from 'node:fs'
import type pg from 'pg'
import { CreditError, invalidInput } from '../core/errors.ts'
import { callFunction, uuidBefore } from './database.ts'
import { LineWriter } from './lines.ts'

const PER_PAGE = 5_000
/** The list of heads begins behind the other fields of its document, which are few. */
const MOST_BEFORE_LIST = 1 << 24

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

interface HeadPage {
  data: ChainHead[]
  next: string | null
}

/** The heads of all chains, or of one, a page at a time. */
export async function* chainHeads(client: pg.Client, accountId?: string): AsyncGenerator<ChainHead> {
  if (accountId !== undefined) {
    const { data }: HeadPage = await callFunction(client, 'credits_get_heads', [uuidBefore(accountId), 1])
    yield* data.filter((head) => head.accountId === accountId)
    return
  }
  let after: string | null = null
  do {
    const page: HeadPage = await callFunction(client, 'credits_get_heads', [after, PER_PAGE])
    yield* page.data
    after = page.next
  } while (after !== null)
}

/** Writes heads as a JSON document, a head a line, and replaces the file only when it is complete. */
export async function writeHeads(file: string, heads: AsyncIterable<ChainHead>): Promise<number> {
  const partial = `${file}.${process.pid}.partial`
  const count = await writeDocument(partial, { takenAt: new Date().toISOString() }, heads)
  renameSync(partial, file)
  return count
}

/** Writes a new JSON document of some fields and a list of heads, which are not kept in memory. */
export async function writeDocument(file: string, fields: object, heads: AsyncIterable<ChainHead>): Promise<number> {
  const writer = new LineWriter(createWriteStream(file, { flags: 'wx', mode: 0o600 }))
  await writer.line(`${JSON.stringify(fields).slice(0, -1)},"heads":[`)
  let count = 0
  let line = ''
  for await (const head of heads) {
    if (count > 0) await writer.line(`${line},`)
    line = JSON.stringify(head)
    count += 1
  }
  if (count > 0) await writer.line(line)
  await writer.line(']}')
  await writer.end()
  return count
}

/**
 * Reads heads from a file of `credits verify --heads`, or from the manifest of `credits export`, as they come.
 * @throws CreditError `INVALID_INPUT` when the file has none, or ends before its list does
 */
export async function* readHeads(file: string): AsyncGenerator<ChainHead> {
  let text = ''
  let state: 'before' | 'in' | 'after' = 'before'
  try {
    for await (const chunk of createReadStream(file, 'utf8')) {
      text += chunk as string
      if (state === 'before') {
        const start = /"heads"\s*:\s*\[/.exec(text)
        if (start === null && text.length < MOST_BEFORE_LIST) continue
        if (start === null) break
        text = text.slice(start.index + start[0].length)
        state = 'in'
      }
      if (state === 'after') continue
      const objects = /\s*(?:,\s*)?(?:(\{[^{}]*\})|(\]))/y
      for (let end = 0; state === 'in'; end = objects.lastIndex) {
        const match = objects.exec(text)
        if (match === null) {
          text = text.slice(end)
          break
        }
        if (match[2] !== undefined) state = 'after'
        else yield headOf(match[1] ?? '', file)
      }
    }
  } catch (error) {
    if (CreditError.isInstance(error)) throw error
    throw invalidInput('--against', `${file} cannot be read`)
  }
  if (state === 'before') throw invalidInput('--against', `${file} has no chain heads`)
  if (state === 'in') throw invalidInput('--against', `${file} is not complete`)
}

function headOf(text: string, file: string): ChainHead {
  try {
    const value = JSON.parse(text) as Partial<ChainHead>
    const { accountId, version, hash } = value
    if (typeof accountId === 'string' && typeof version === 'number' && typeof hash === 'string')
      return { accountId, version, hash }
  } catch {
    // Said below.
  }
  throw invalidInput('--against', `${file} has a chain head that cannot be read: ${text.slice(0, 200)}`)
}

/** Compares heads of an earlier day with the ledger. @returns how many there were, and a page of faults at a time */
export async function compareHeads(
  client: pg.Client,
  heads: AsyncIterable<ChainHead>,
  onFaults: (faults: readonly HeadFault[]) => void,
): Promise<number> {
  let count = 0
  let page: ChainHead[] = []
  const compare = async () => {
    const answer = await callFunction<{ faults: HeadFault[] }>(client, 'credits_verify_heads', [JSON.stringify(page)])
    onFaults(answer.faults)
    page = []
  }
  for await (const head of heads) {
    count += 1
    if (page.push(head) === PER_PAGE) await compare()
  }
  if (page.length > 0) await compare()
  return count
}
