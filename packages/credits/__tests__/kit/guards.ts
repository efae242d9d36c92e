import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from './database.ts'

const MIGRATIONS = globSync(join(import.meta.dirname, '../../../../supabase/migrations/*.sql')).sort()

/**
 * A copy of the schema in which one guard is left out of its function: a test that a race or a fault is found is first
 * proven on it.
 *
 * @param guard name of a `-- guard: name` line, or of a block from `-- guard name {` to `-- } name`
 */
export async function withoutGuard(guard: string): Promise<TestDatabase> {
  const copy = await createTestDatabase()
  await copy.admin.query(functionWithout(guard))
  return copy
}

function functionWithout(guard: string): string {
  const line = new RegExp(`^.*-- guard: ${guard}\\n`, 'm')
  const block = new RegExp(`^ *-- guard ${guard} \\{\\n[\\s\\S]*?^ *-- \\} ${guard}\\n`, 'm')
  const functions = MIGRATIONS.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/^create or replace function [\s\S]*?^\$\$;\n/gm)].map((match) => match[0]),
  )
  const found = functions.find((text) => line.test(text) || block.test(text))
  if (found === undefined) throw new Error(`no guard ${guard} in the migrations`)
  return found.replace(line, '').replace(block, '')
}
