/**
 * `pnpm stories`: proves the fifteen stories. An acceptance line of prd.json is true when the test of the same
 * title in the story's own file passes (packages/credits/__tests__/stories/<id>.test.ts); a line without a test
 * is false. Writes `passes` into prd.json and prints the table.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { root } from './lib/paths.ts'
import { runVitest, type TestResult } from './lib/vitest.ts'

interface Story {
  id: string
  phase: number
  title: string
  acceptance: string[]
  passes: boolean
}

const FOLDER = 'packages/credits/__tests__/stories'
const prdPath = join(root, 'prd.json')
const prd = JSON.parse(readFileSync(prdPath, 'utf8')) as { userStories: Story[] }

function failures(story: Story, results: TestResult[]): string[] {
  const own = results.filter(({ file }) => file === `${FOLDER}/${story.id}.test.ts`)
  const missing = story.acceptance.flatMap((line) => {
    const test = own.find(({ title }) => title === line)
    if (!test) return [`no test: ${line}`]
    return test.passed ? [] : [`${test.skipped ? 'skipped' : 'failed'}: ${line} ${test.failure}`]
  })
  const stray = own.filter(({ title }) => !story.acceptance.includes(title))
  return [...missing, ...stray.map(({ title }) => `not an acceptance line of prd.json: ${title}`)]
}

const { results } = await runVitest(['--project', 'stories'])
let passed = 0
for (const [index, story] of prd.userStories.entries()) {
  const problems = failures(story, results)
  story.passes = problems.length === 0
  if (story.passes) passed++
  const mark = story.passes ? styleText('green', 'pass') : styleText('red', 'FAIL')
  const number = String(index + 1).padStart(2)
  console.log(`${mark}  ${number}  ${story.id.padEnd(24)} ${story.acceptance.length} lines  ${story.title}`)
  for (const problem of problems) console.log(`        - ${problem}`)
}
writeFileSync(prdPath, `${JSON.stringify(prd, null, 2)}\n`)
const failed = prd.userStories.length - passed
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
