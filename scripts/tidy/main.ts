/**
 * `node scripts/tidy/main.ts [path ...]`: the words, columns and lengths that the style does not allow, a line each.
 * Paths choose the files whose path begins with one of them. Exit 1 with a finding.
 */
import { root } from '../lib/paths.ts'
import { findAll, report } from './find.ts'

const chosen = process.argv.slice(2)
const findings = findAll(root).filter(({ file }) => chosen.length === 0 || chosen.some((path) => file.startsWith(path)))
if (findings.length > 0) process.stdout.write(`${report(findings)}\n`)
process.exitCode = findings.length === 0 ? 0 : 1
