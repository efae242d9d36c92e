import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases } from '../kit/database.ts'

const EXAMPLES = globSync(join(import.meta.dirname, '../../../../supabase/examples/*.sql')).sort()

afterAll(stopDatabases)

describe('the example', () => {
  it.each(EXAMPLES.map((path) => [basename(path), path]))('%s prints its recorded output', async (_, path) => {
    const database = await createTestDatabase()
    const client = new pg.Client({ connectionString: database.dbUrl })
    await client.connect()
    try {
      const printed: string[] = []
      for (const part of partsOf(readFileSync(path, 'utf8'))) printed.push(part, await answerTo(client, part))
      await expect(printed.join('')).toMatchFileSnapshot(path.replace(/\.sql$/, '.out'))
    } finally {
      await client.end()
      await database.close()
    }
  })
})

/** The statements with the comments before them. No statement of an example has a semicolon inside. */
function partsOf(text: string): string[] {
  return [...text.matchAll(/[^;]*;\n\n?/g)].map((match) => match[0].trimEnd().concat('\n'))
}

/** The rows as a table, or the error with its details, and an empty line. */
async function answerTo(client: pg.Client, statement: string): Promise<string> {
  try {
    const { fields, rows } = await client.query({ text: statement, rowMode: 'array' })
    return fields.length === 0 ? '\n' : table([fields.map((field) => field.name), ...rows])
  } catch (error) {
    const { code, message, detail } = error as pg.DatabaseError
    return `ERROR ${code} ${message}\nDETAIL ${detail}\n\n`
  }
}

function table(lines: unknown[][]): string {
  const cells = lines.map((line) => line.map((value) => (value === null ? '' : String(value))))
  const widths = (cells[0] as string[]).map((_, column) =>
    Math.max(...cells.map((line) => (line[column] ?? '').length)),
  )
  const text = cells.map((line) =>
    line
      .map((value, column) => value.padEnd(widths[column] ?? 0))
      .join(' | ')
      .trimEnd(),
  )
  return `${[text[0], widths.map((width) => '-'.repeat(width)).join('-+-'), ...text.slice(1)].join('\n')}\n\n`
}
