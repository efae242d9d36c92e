/**
 * Puts into the package what lives elsewhere in the repository: migrations, their examples, the docs.
 * npm copies the manifest as it is, and `catalog:` in it cannot be installed, so only pnpm may pack.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const packageFolder = import.meta.dirname

const agent = process.env.npm_config_user_agent ?? ''
if (
  !agent.startsWith('pnpm/') &&
  /"(catalog|workspace):/.test(readFileSync(join(packageFolder, 'package.json'), 'utf8'))
) {
  process.stderr.write(
    'Pack and publish with pnpm: npx pnpm --dir packages/credits pack. npm would leave "catalog:" in it.\n',
  )
  process.exit(1)
}

/** Files of the repository, and their folder in the package. */
const COPIES: readonly { from: string; to: string }[] = [
  // The app's own migrations next to ours are not part of the package.
  { from: 'supabase/migrations/*_credits_*.sql', to: 'migrations' },
  { from: 'supabase/examples/*.{sql,out}', to: 'examples' },
  { from: 'docs/*.md', to: 'docs' },
]

for (const to of new Set(COPIES.map((copy) => copy.to))) {
  rmSync(join(packageFolder, to), { recursive: true, force: true })
  mkdirSync(join(packageFolder, to))
}
for (const { from, to } of COPIES) {
  for (const file of globSync(from, { cwd: root })) cpSync(join(root, file), join(packageFolder, to, basename(file)))
}
for (const page of globSync('docs/*.md', { cwd: packageFolder })) rewriteLinks(join(packageFolder, page))

/** Links into the repository would lead nowhere from the package: only those to other pages stay links. */
function rewriteLinks(page: string): void {
  const text = readFileSync(page, 'utf8')
  const own = new Set(globSync('*.md', { cwd: dirname(page) }))
  writeFileSync(
    page,
    text.replace(/\[([^\]]+)\]\(((?!https?:|#)[^)#]+)(#[^)]*)?\)/g, (link, label: string, path: string) =>
      own.has(path) ? link : label,
    ),
  )
}
