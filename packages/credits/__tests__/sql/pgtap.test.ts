import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { closeStack, type Ground, openGround } from './ground.ts'

const FILES = globSync(join(import.meta.dirname, '../../../../supabase/tests/*.test.sql')).sort()
/** pgTAP is SQL alone: Debian's `postgresql-<major>-pgtap` serves every server, also one it was not installed for. */
const [PGTAP] = globSync('/usr/share/postgresql/*/extension/pgtap--*.sql').filter((file) =>
  /pgtap--[\d.]+\.sql$/.test(file),
)

afterAll(closeStack)

/** A database with pgTAP in it, as `create extension` would put it there. */
async function withPgtap(): Promise<Ground> {
  const ground = await openGround()
  const commands = /^\\.*$/gm
  const client = await ground.admin.connect()
  await client.query('set search_path = extensions')
  await client.query(
    readFileSync(PGTAP as string, 'utf8')
      .replaceAll(commands, '')
      .replaceAll('@extschema@', 'extensions'),
  )
  client.release(true)
  return ground
}

/** The lines that a file of tests prints, run by the role that runs migrations. */
async function run(ground: Ground, file: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: ground.dbUrl })
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
    const ground = await withPgtap()
    try {
      const lines = await run(ground, file)
      expect(failures(lines)).toEqual([])
      const planned = lines.find((line) => /^1\.\.\d+$/.test(line))?.slice(3)
      expect(lines.filter((line) => line.startsWith('ok'))).toHaveLength(Number(planned))
    } finally {
      await ground.close()
    }
  })

  it('fail on a schema whose users may write their balance', async () => {
    const ground = await withPgtap()
    try {
      await ground.admin.query('grant delete on public.credit_balances to authenticated')
      const file = FILES.find((name) => name.includes('02_access')) as string
      expect(failures(await run(ground, file)).join('\n')).toContain('cannot delete from credit_balances')
    } finally {
      await ground.close()
    }
  })
})
