/**
 * `node scripts/check-docs.ts`: type-checks every block of TypeScript in the READMEs and in docs/ against the built
 * package. Names that recipes leave to the reader are declared in docs/prelude.d.ts. Exit 1 with a finding.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkPage, pages } from './docs/check.ts'
import { root } from './lib/paths.ts'

const built = spawnSync(process.execPath, ['scripts/build.ts', 'library'], { cwd: root, stdio: ['ignore', 2, 2] })
if (built.status !== 0) process.exit(built.status ?? 1)

const prelude = readFileSync(join(root, 'docs/prelude.d.ts'), 'utf8')
const chosen = process.argv.slice(2)
const findings = pages()
  .filter((page) => chosen.length === 0 || chosen.includes(page))
  .flatMap((page) => checkPage(page, readFileSync(join(root, page), 'utf8'), prelude))
for (const finding of findings) console.log(finding)
process.exitCode = findings.length === 0 ? 0 : 1
