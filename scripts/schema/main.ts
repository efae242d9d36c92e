/**
 * Writes what the migrations make of an empty project, read back from its catalogue:
 * - supabase/schema.snapshot.sql: every table, constraint, index, policy, trigger, function and grant, so that a change
 *   of the schema shows in review;
 * - docs/sql.md: tables, columns and functions with their comments.
 * `--check` writes nothing and fails when one of them is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startStack } from '@layers/local-stack'
import pg from 'pg'
import { root } from '../lib/paths.ts'
import { describeSchema } from './describe.ts'
import { snapshotSchema } from './snapshot.ts'

const stack = await startStack({ ephemeral: true, seedFile: null })
const client = new pg.Client({ connectionString: stack.dbUrl })
await client.connect()
const files = {
  'supabase/schema.snapshot.sql': await snapshotSchema(client),
  'docs/sql.md': await describeSchema(client),
}
await client.end()
await stack.stop()

for (const [path, text] of Object.entries(files)) {
  const file = join(root, path)
  if (!process.argv.includes('--check')) writeFileSync(file, text)
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${path} is out of date: run node scripts/schema/main.ts`)
    process.exitCode = 1
  }
}
