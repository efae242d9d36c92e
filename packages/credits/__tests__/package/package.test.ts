import { execFile } from 'node:child_process'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EdgeVM } from '@edge-runtime/vm'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const source = join(import.meta.dirname, '../..')
const app = realpathSync(mkdtempSync(join(tmpdir(), 'credits-package-')))
const installed = join(app, 'node_modules/@layers/credits')
const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
  version: string
  exports: Record<string, string | { types: string; default: string }>
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
}
const subpaths = Object.keys(manifest.exports)
const modules = subpaths.filter((subpath) => subpath !== './package.json')
const nameOf = (subpath: string): string => join('@layers/credits', subpath)

/** Builds unless the build is newer than everything it is made from. */
async function buildIfStale(): Promise<void> {
  const changed = Math.max(
    ...globSync('{src/**/*.ts,*.json,*.ts}', { cwd: source }).map((file) => statSync(join(source, file)).mtimeMs),
  )
  const outputs = modules.flatMap((subpath) => Object.values(manifest.exports[subpath] ?? {}) as string[])
  const fresh = outputs.every(
    (file) => existsSync(join(source, file)) && statSync(join(source, file)).mtimeMs >= changed,
  )
  if (fresh) return
  await run('pnpm', ['exec', 'tsup', '--silent'], { cwd: source })
  await run('pnpm', ['exec', 'tsc', '-p', 'tsconfig.build.json'], { cwd: source })
}

/** Unpacks the tarball where an install would; what it depends on comes from this workspace, so no network is needed. */
async function install(): Promise<void> {
  const tarball = join(app, 'package.tgz')
  await run('pnpm', ['pack', '--out', tarball], { cwd: source })
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed])
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const link = join(app, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(realpathSync(join(source, 'node_modules', name)), link)
  }
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
}

beforeAll(async () => {
  await buildIfStale()
  await install()
}, 120_000)
afterAll(() => rmSync(app, { recursive: true, force: true }))

describe('the tarball', () => {
  it('holds the build, the migrations, the map for agents, the error docs, the command, and nothing else', () => {
    const files = globSync('**/*', { cwd: installed }).filter((file) => statSync(join(installed, file)).isFile())
    const tops = new Set(files.map((file) => file.split('/')[0]))
    expect([...tops].sort()).toEqual([
      'AGENTS.md',
      'LICENSE',
      'bin',
      'dist',
      'docs',
      'migrations',
      'package.json',
      'rates',
    ])
    const ours = globSync('*.sql', { cwd: join(source, '../../supabase/migrations') })
    expect(globSync('*.sql', { cwd: join(installed, 'migrations') }).sort()).toEqual(ours.sort())
    expect(files.filter((file) => /\.test\.|__fixtures__/.test(file))).toEqual([])
  })

  it('says real version ranges, not those of the workspace', () => {
    const packed = readFileSync(join(installed, 'package.json'), 'utf8')
    expect(packed).not.toMatch(/"(catalog|workspace):/)
  })

  it.each(subpaths)('%s can be imported', async (subpath) => {
    const attributes = subpath.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
    const code = `console.log(Object.keys(await import('${nameOf(subpath)}'${attributes})).length)`
    const { stdout } = await run('node', ['--input-type=module', '-e', code], { cwd: app })
    expect(Number(stdout)).toBeGreaterThan(0)
  })

  it('type-checks in an app with strict settings, every subpath', async () => {
    const lines = modules.map((subpath, index) => `export * as m${index} from '${nameOf(subpath)}'`)
    writeFileSync(join(app, 'use.ts'), `${lines.join('\n')}\n`)
    const compilerOptions = {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2024', 'dom'],
      noEmit: true,
      types: [],
      skipLibCheck: true,
    }
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    const { stdout } = await run('pnpm', ['exec', 'tsc', '-p', app], { cwd: source })
    expect(stdout).toBe('')
  })

  it('runs its command, and init copies the migrations it brought', async () => {
    const command = join(installed, 'bin/credits.js')
    const version = await run('node', [command, '--version'], { cwd: app })
    expect(version.stdout.trim()).toBe(manifest.version)
    const { stdout } = await run('node', [command, 'init', '--json'], { cwd: app })
    const { steps } = JSON.parse(stdout) as { steps: { action: string; file: string }[] }
    expect(steps.map((step) => step.action)).toEqual(steps.map(() => 'write'))
    expect(globSync('supabase/migrations/*.sql', { cwd: app })).toHaveLength(steps.length)
  })
})

describe('the edge runtime', () => {
  // The hooks are for the browser; everything else may be imported by code that runs on the edge.
  it.each(modules.filter((subpath) => subpath !== './react'))('%s loads on it', async (subpath) => {
    const entry = join(app, 'edge-entry.mjs')
    writeFileSync(entry, `export * from '${nameOf(subpath)}'`)
    const [code] = await bundle(entry)
    const vm = new EdgeVM()
    vm.evaluate(code ?? '')
    expect(Number(vm.evaluate('Object.keys(bundle).length'))).toBeGreaterThan(0)
  })

  it('reserves, prices and settles', async () => {
    const entry = join(app, 'edge-main.mjs')
    writeFileSync(
      entry,
      `import { createCredits, memoryStore } from '@layers/credits'
       export async function main() {
         const store = memoryStore({ rates: [{ modelId: 'a/b', pricing: { input: '0.000003', output: '0.000015' } }] })
         const { userId } = store.createAccount()
         const credits = createCredits({ store })
         const { reservationId } = await credits.reserve({ userId, amount: '10', model: 'a/b', idempotencyKey: 'k' })
         const usage = { inputTokens: 2000, outputTokens: 1000 }
         return (await credits.settle({ userId, reservationId, usage })).captured
       }`,
    )
    const [code] = await bundle(entry)
    const vm = new EdgeVM()
    vm.evaluate(code ?? '')
    expect(await vm.evaluate('bundle.main()')).toBe('3.36')
  })
})

/** One script of an entry and all it imports, as an edge platform makes it. */
async function bundle(entry: string): Promise<string[]> {
  const outDir = mkdtempSync(join(app, 'bundle-'))
  await build({
    entry: [entry],
    outDir,
    format: 'iife',
    globalName: 'bundle',
    platform: 'neutral',
    target: 'es2023',
    noExternal: [/.*/],
    silent: true,
    config: false,
    esbuildOptions(options) {
      options.mainFields = ['module', 'main']
      // As edge platforms resolve: packages that differ there say so under these names.
      options.conditions = ['edge-light', 'browser', 'import']
    },
  })
  return globSync('*.js', { cwd: outDir }).map((file) => readFileSync(join(outDir, file), 'utf8'))
}
