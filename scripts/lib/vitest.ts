import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './paths.ts'

/** One test as Vitest's JSON reporter has it. */
export interface TestResult {
  /** Path of the test file from the root of the checkout. */
  file: string
  /** Title of the test alone, and with the titles of its describe blocks. */
  title: string
  fullName: string
  passed: boolean
  skipped: boolean
  failure: string
}

export interface TestRun {
  results: TestResult[]
  /** Files that could not be loaded, errors outside of any test: a run with one of them is not green. */
  brokenFiles: string[]
  exitCode: number
}

interface JsonReport {
  testResults: {
    name: string
    status: string
    message?: string
    assertionResults: { title: string; fullName: string; status: string; failureMessages?: string[] }[]
  }[]
}

/** Runs Vitest with the repository's configuration and reads every result. Progress goes to this process's output. */
export async function runVitest(args: string[], { quiet = false } = {}): Promise<TestRun> {
  const folder = mkdtempSync(join(tmpdir(), 'vitest-'))
  const report = join(folder, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn('vitest', ['run', '--config', 'vitest.workspace.ts', ...reporters, ...args], {
      cwd: root,
      stdio: quiet ? ['ignore', 'ignore', 'inherit'] : ['ignore', 'inherit', 'inherit'],
    })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 128))
  })
  try {
    return { ...readReport(report), exitCode }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(path: string): Omit<TestRun, 'exitCode'> {
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as JsonReport
  const results = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ title, fullName, status, failureMessages }) => ({
      file: name.slice(root.length + 1),
      title,
      fullName,
      passed: status === 'passed',
      skipped: status !== 'passed' && status !== 'failed',
      failure: failureMessages?.[0]?.split('\n')[0] ?? '',
    })),
  )
  const brokenFiles = testResults
    .filter(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.every((t) => t.status !== 'failed'),
    )
    .map(({ name }) => name.slice(root.length + 1))
  return { results, brokenFiles }
}
