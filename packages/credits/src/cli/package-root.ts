import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of this package: two above `src/cli`, and above `dist/cli` or a chunk in `dist` as well. */
const packageRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  return findRoot(dirname(folder))
}

/** Of the package's own manifest. */
export const version: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version

/** A file or folder of the published package; in this repository it is at the top, below `supabase`. */
function packed(name: string, inRepository: string): string {
  const path = join(packageRoot, name)
  return existsSync(path) ? path : join(packageRoot, '../..', inRepository)
}

/** The migrations that `credits init` copies. */
export function migrationsFolder(): string {
  return packed('migrations', 'supabase/migrations')
}

/** The price list that `credits rates sync --bundled` reads. */
export function bundledRates(): string {
  return join(packageRoot, 'rates/models.json')
}
