/**
 * `pnpm test:postgres`: the SQL tests and the store contract on Postgres 15, 17 and 18, one server after the other.
 * Ends with the line `N passed, N failed`. Arguments name majors: `pnpm test:postgres 18`.
 */
import { runVitest } from './lib/vitest.ts'

const MAJORS = ['15', '17', '18']
const FILES = ['packages/credits/__tests__/sql', 'packages/credits/__tests__/store/contract.test.ts']

const asked = process.argv.slice(2)
let passed = 0
let failed = 0
for (const major of asked.length > 0 ? asked : MAJORS) {
  process.env.POSTGRES_MAJOR = major
  const { results, brokenFiles, exitCode } = await runVitest(FILES)
  const good = results.filter((test) => test.passed).length
  const bad = results.filter((test) => !test.passed && !test.skipped).length + brokenFiles.length
  console.log(`Postgres ${major}: ${good} passed, ${bad} failed`)
  passed += good
  failed += exitCode !== 0 && bad === 0 ? 1 : bad
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
