/** `pnpm check`: everything that can be known without running the code. Each step prints only when it fails. */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { styleText } from 'node:util'
import { root } from './lib/paths.ts'

const migrations = globSync('supabase/migrations/*.sql', { cwd: root }).sort()

/** These two are dependencies of the library alone. */
const LIBRARY = ['pnpm', '--dir', 'packages/credits', 'exec'] as const

const steps: [name: string, command: string, ...args: string[]][] = [
  ['format, lint and import rules', 'biome', 'ci', '.'],
  ['words, columns and lengths', 'node', 'scripts/tidy/main.ts'],
  ['types of the library', 'tsc', '-p', 'packages/credits'],
  ['types of the local stack', 'tsc', '-p', 'packages/local-stack'],
  ['types of the web app', 'tsc', '-p', 'apps/web'],
  ['types of the benchmarks', 'tsc', '-p', 'bench'],
  ['types of the chaos tests', 'tsc', '-p', 'chaos'],
  ['types of the scripts', 'tsc', '-p', 'scripts'],
  ['dead code', 'knip'],
  ['exports that only tests use', 'knip', '--production'],
  ['code in the docs', 'node', 'scripts/check-docs.ts'],
  ['package manifest', ...LIBRARY, 'publint', '--strict'],
  ['package types', ...LIBRARY, 'attw', '--profile', 'esm-only', '--pack', '.'],
  ['migrations', 'squawk', '--config', 'supabase/.squawk.toml', ...migrations],
  ['price list and seed are built from their sources', 'node', 'scripts/build-rates.ts', '--check'],
  ['error docs are built from the table', 'node', 'scripts/build-error-docs.ts', '--check'],
  ['schema snapshot and SQL docs', 'node', 'scripts/schema/main.ts', '--check'],
  ['database types', 'node', 'scripts/db-types.ts', '--check'],
  ['database advisors', 'node', 'scripts/check-advisors.ts'],
]

let failed = 0
for (const [name, command, ...args] of steps) {
  const { status, stdout, stderr } = spawnSync('pnpm', ['exec', command, ...args], { cwd: root, encoding: 'utf8' })
  if (status === 0) {
    console.log(`${styleText('green', 'ok')}    ${name}`)
    continue
  }
  failed++
  console.log(`${styleText('red', 'FAIL')}  ${name}\n${stdout}${stderr}`)
}
console.log(failed === 0 ? 'All checks passed.' : `${failed} of ${steps.length} checks failed.`)
process.exitCode = failed === 0 ? 0 : 1
