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
    ...globSync('{src/**/*.ts,package.json,tsup.config.ts}', { cwd: source }).map(
      (file) => statSync(join(source, file)).mtimeMs,
    ),
  )
  const outputs = modules.flatMap((subpath) => Object.values(manifest.exports[subpath] ?? {}) as string[])
  const fresh = outputs.every(
    (file) => existsSync(join(source, file)) && statSync(join(source, file)).mtimeMs >= changed,
  )
  if (fresh) return
  await run('pnpm', ['run', 'build'], { cwd: source })
}

/** Unpacks the tarball where an install would. Its dependencies come from this workspace: no network is needed. */
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
  it('has the build, migrations, prices, docs, README, change log and command, and nothing else', () => {
    const files = globSync('**/*', { cwd: installed }).filter((file) => statSync(join(installed, file)).isFile())
    const tops = new Set(files.map((file) => file.split('/')[0]))
    tops.delete('examples')
    const expected = ['AGENTS.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'docs', 'migrations']
    expect([...tops].sort()).toEqual([...expected, 'package.json', 'rates'].sort())
    expect(files.filter((file) => /\.test\.|__fixtures__|\.inputs$|\.map\.map$/.test(file))).toEqual([])
  })

  it('has every migration and example of the library, and no migration of the app', () => {
    const ours = globSync('*_credits_*.sql', { cwd: join(source, '../../supabase/migrations') })
    expect(globSync('*', { cwd: join(installed, 'migrations') }).sort()).toEqual(ours.sort())
    const examples = globSync('*.{sql,out}', { cwd: join(source, '../../supabase/examples') })
    expect(globSync('*', { cwd: join(installed, 'examples') }).sort()).toEqual(examples.sort())
  })

  it('has every page of the docs, with links that lead to a page of the package or to the web', () => {
    const pages = globSync('*.md', { cwd: join(installed, 'docs') })
    expect(pages.sort()).toEqual(globSync('*.md', { cwd: join(source, '../../docs') }).sort())
    for (const page of [...pages.map((file) => join('docs', file)), 'README.md']) {
      const text = readFileSync(join(installed, page), 'utf8')
      const links = [...text.matchAll(/\]\(((?!https?:|#)[^)#]+)/g)].map(([, path = '']) => path)
      const dead = links.filter((path) => !existsSync(join(installed, dirname(page), path)))
      expect(dead, page).toEqual([])
    }
  })

  it('has a source map for every script of its build', () => {
    const scripts = globSync('dist/**/*.js', { cwd: installed })
    expect(scripts.length).toBeGreaterThan(8)
    expect(scripts.filter((file) => !existsSync(join(installed, `${file}.map`)))).toEqual([])
  })

  it('has version ranges that every package manager understands, not those of the workspace', () => {
    const packed = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as typeof manifest
    for (const ranges of [packed.dependencies, packed.peerDependencies])
      for (const range of Object.values(ranges)) expect(range).toMatch(/^[\^~]?\d+\.\d+\.\d+( \|\| \^\d+\.\d+\.\d+)*$/)
  })

  it('is not made by npm, which would leave the ranges of the workspace in it', async () => {
    const packing = run('npm', ['pack', '--dry-run'], { cwd: source })
    await expect(packing).rejects.toThrow(/Pack and publish with pnpm/)
  })

  it('has the price list that rates sync --bundled reads', () => {
    const list = JSON.parse(readFileSync(join(installed, 'rates/models.json'), 'utf8')) as { data: { id: string }[] }
    expect(list.data.length).toBeGreaterThan(400)
    expect(list.data.map(({ id }) => id)).toContain('anthropic/claude-sonnet-4.5')
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
