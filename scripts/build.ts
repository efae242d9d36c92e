/**
 * Builds the library and the web app, each only when one of its inputs changed since its last build.
 * `library` or `web` as an argument builds that one alone; `--check` builds nothing and exits 1 when it would.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib/paths.ts'

interface Target {
  name: string
  inputs: string[]
  stamp: string
}

const library: Target = {
  name: '@layers/credits',
  inputs: ['pnpm-lock.yaml', 'tsconfig.base.json', 'packages/credits/src/**', 'packages/credits/*.{json,ts}'],
  stamp: 'packages/credits/dist/.inputs',
}
const web: Target = {
  name: 'web',
  inputs: [...library.inputs, 'apps/web/{src,app,lib,components,public}/**', 'apps/web/*.{json,ts,mjs}'],
  stamp: 'apps/web/.next/.inputs',
}

function digest(inputs: string[]): string {
  const hash = createHash('sha256')
  // Next writes next-env.d.ts itself; tests are not part of a build.
  const files = globSync(inputs, { cwd: root }).filter((file) => !/next-env\.d\.ts$|\.test\.tsx?$/.test(file))
  for (const file of files.sort()) {
    const path = join(root, file)
    if (statSync(path).isFile()) hash.update(file).update('\0').update(readFileSync(path))
  }
  return hash.digest('hex')
}

function isCurrent({ inputs, stamp }: Target): boolean {
  const path = join(root, stamp)
  return existsSync(path) && readFileSync(path, 'utf8') === digest(inputs)
}

function build(target: Target): void {
  if (isCurrent(target)) return
  const { status } = spawnSync('pnpm', ['--filter', target.name, 'build'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
  writeFileSync(join(root, target.stamp), digest(target.inputs))
}

const names = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const targets = [library, web].filter(
  (target) => names.length === 0 || names.includes(target === web ? 'web' : 'library'),
)
if (process.argv.includes('--check')) process.exitCode = targets.every(isCurrent) ? 0 : 1
else for (const target of targets) build(target)
