/** Puts into the package what lives elsewhere in the repository: the migrations for `credits init`, and the error docs. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

for (const [from, to] of [
  ['supabase/migrations', 'migrations'],
  // Every problem body links to its anchor in here.
  ['docs/errors.md', 'docs/errors.md'],
] as const) {
  const target = join(import.meta.dirname, to)
  rmSync(target, { recursive: true, force: true })
  cpSync(join(root, from), target, { recursive: true })
}
