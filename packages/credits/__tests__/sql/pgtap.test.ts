import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'

const FILES = globSync(join(import.meta.dirname, '../../../../supabase/tests/*.test.sql')).sort()
/** pgTAP is SQL alone: Debian's `postgresql-<major>-pgtap` serves every server, also one it was not installed for. */
const [PGTAP] = globSync('/usr/share/postgresql/*/extension/pgtap--*.sql').filter((file) =>
  /pgtap--[\d.]+\.sql$/.test(file),
)

afterAll(stopDatabases)

/** A database with pgTAP in it, as `create extension` would put it there. */
async function withPgtap(): Promise<TestDatabase> {
  const database = await createTestDatabase()
  const commands = /^\\.*$/gm
  const client = await database.admin.connect()
  await client.query('set search_path = extensions')
  await client.query(
    readFileSync(PGTAP as string, 'utf8')
      .replaceAll(commands, '')
      .replaceAll('@extschema@', 'extensions'),
  )
  client.release(true)
  return database
}

/** The lines that a file of tests prints, run by the role that runs migrations. */
async function run(database: TestDatabase, file: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.dbUrl })
  await client.connect()
  try {
    const answers = (await client.query(readFileSync(file, 'utf8'))) as unknown as pg.QueryResult[]
    return answers.flatMap(({ rows }) => rows.map((row) => String(Object.values(row)[0])))
  } finally {
    await client.end()
  }
}

const failures = (lines: string[]) => lines.filter((line) => line.startsWith('not ok'))

describe.skipIf(PGTAP === undefined)('the pgTAP tests', () => {
  it.each(FILES.map((file) => [basename(file), file]))('of %s pass, as many as planned', async (_name, file) => {
    const database = await withPgtap()
    try {
      const lines = await run(database, file)
      expect(failures(lines)).toEqual([])
      const planned = lines.find((line) => /^1\.\.\d+$/.test(line))?.slice(3)
      expect(lines.filter((line) => line.startsWith('ok'))).toHaveLength(Number(planned))
    } finally {
      await database.close()
    }
  })

  it('fail on a schema whose users may write their balance', async () => {
    const database = await withPgtap()
    try {
      await database.admin.query('grant delete on public.credit_balances to authenticated')
      const file = FILES.find((name) => name.includes('02_access')) as string
      expect(failures(await run(database, file)).join('\n')).toContain('cannot delete from credit_balances')
    } finally {
      await database.close()
    }
  })
})
