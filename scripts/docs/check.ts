import { spawnSync } from 'node:child_process'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from '../lib/paths.ts'
import { type Block, blocksOf, moduleOf } from './blocks.ts'

/** Packages that a reader's app has; the library's own are added to them. */
const APP = join(root, 'apps/web/node_modules')
const LIBRARY = join(root, 'packages/credits')

/** The pages whose blocks are checked. */
export function pages(): string[] {
  return ['README.md', 'packages/credits/README.md', ...globSync('docs/**/*.md', { cwd: root }).sort()]
}

/** A folder in which `@layers/credits` and what an app uses with it can be imported, as after an install. */
export function createApp(): string {
  const app = realpathSync(mkdtempSync(join(tmpdir(), 'credits-docs-')))
  const modules = join(app, 'node_modules')
  link(LIBRARY, join(modules, '@layers/credits'))
  for (const folder of [join(LIBRARY, 'node_modules'), APP, join(root, 'node_modules')]) linkAll(folder, modules)
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  return app
}

function linkAll(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    if (name.startsWith('.')) continue
    if (name.startsWith('@')) linkAll(join(from, name), join(to, name))
    else link(join(from, name), join(to, name))
  }
}

function link(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  if (!existsSync(to)) symlinkSync(realpathSync(from), to)
}

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: false,
  module: 'esnext',
  moduleResolution: 'bundler',
  target: 'es2023',
  lib: ['es2024', 'dom', 'dom.iterable'],
  jsx: 'react-jsx',
  noEmit: true,
  types: ['node'],
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  paths: { '@/*': ['./*'] },
}

/** Writes the blocks of a page into the app: a named one at its path, the others under their line. */
export function writeBlocks(app: string, blocks: readonly Block[]): string[] {
  return blocks.map((block) => {
    const file = block.path ?? `line-${block.line}.${block.language}`
    mkdirSync(dirname(join(app, file)), { recursive: true })
    writeFileSync(join(app, file), moduleOf(block))
    return file
  })
}

/**
 * Type-checks the blocks of one page against the built package. `prelude` declares the few names that recipes leave
 * to the reader.
 *
 * @returns what the compiler says, with the page and its line; empty when all is well
 */
export function checkPage(page: string, markdown: string, prelude: string): string[] {
  const blocks = blocksOf(markdown)
  if (blocks.length === 0) return []
  const app = createApp()
  try {
    const files = writeBlocks(app, blocks)
    writeFileSync(join(app, 'prelude.d.ts'), prelude)
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [...files, 'prelude.d.ts'] }))
    // Run in the app, so that the paths in its messages are those that were written here.
    const tsc = join(root, 'node_modules/.bin/tsc')
    const { status, stdout, stderr } = spawnSync(tsc, ['-p', '.', '--pretty', 'false'], { cwd: app, encoding: 'utf8' })
    return status === 0 ? [] : messages(page, files, `${stdout}${stderr}`)
  } finally {
    rmSync(app, { recursive: true, force: true })
  }
}

function messages(page: string, files: readonly string[], output: string): string[] {
  return output
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const place = /^(.+?)\((\d+),(\d+)\): (.*)$/.exec(line)
      if (place === null || !files.includes(place[1] ?? '')) return line
      return `${page}:${place[2]}:${place[3]}  ${place[4]}`
    })
}
