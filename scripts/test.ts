/** `npm test`: every test of the repository. Ends with the line `N passed, N failed`. */
import { runVitest } from './lib/vitest.ts'

const { results, brokenFiles, exitCode } = await runVitest(process.argv.slice(2))
const passed = results.filter((test) => test.passed).length
const failed = results.filter((test) => !test.passed && !test.skipped).length + brokenFiles.length
const skipped = results.filter((test) => test.skipped)

for (const file of brokenFiles) console.log(`could not run: ${file}`)
for (const test of skipped) console.log(`skipped: ${test.fullName}`)
// Vitest also fails on an unhandled rejection, which belongs to no test.
const stray = exitCode !== 0 && failed === 0 ? 1 : 0
console.log(`${passed} passed, ${failed + stray} failed`)
process.exitCode = failed + stray === 0 && passed > 0 ? 0 : 1
