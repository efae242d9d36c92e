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

/** In the published package; in this repository they stand at its top. */
export function migrationsFolder(): string {
  const packed = join(packageRoot, 'migrations')
  return existsSync(packed) ? packed : join(packageRoot, '../../supabase/migrations')
}
