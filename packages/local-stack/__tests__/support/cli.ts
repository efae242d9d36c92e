import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { stopStack } from '../../src/cli/stop.ts'
import type { StackInfo } from '../../src/index.ts'
import { layoutOf } from '../../src/layout.ts'
import { requireFreePort } from '../../src/process/ports.ts'
import { FIXTURES } from './stack.ts'

const script = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** What a command printed, and how it ended. */
export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

/** Runs `stack <args>` as a person would. */
export function run(args: string[], env: NodeJS.ProcessEnv = {}, program = script): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, NODE_ENV: 'test', ...env }, timeout: 60_000 }
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr })
    })
  })
}

/** A stack that is driven by the command line, in a folder of its own. */
export interface CliStack {
  port: number
  folder: string
  /** `start --json`; throws with what was printed when it fails. */
  start(...more: string[]): Promise<StackInfo>
  run(command: string, ...more: string[]): Promise<Outcome>
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

/** Chooses ports and a folder. Nothing runs yet. */
export async function cliStack(migrations = FIXTURES.migrationsDir): Promise<CliStack> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cli-stack-'))
  chmodSync(folder, 0o755)
  const port = await freePairOfPorts()
  const which = ['--port', String(port), '--data-dir', folder]
  const command = (name: string, ...more: string[]) => run([name, ...which, ...more])
  return {
    port,
    folder,
    run: command,
    async start(...more) {
      const sources = ['--migrations', migrations, '--seed', FIXTURES.seedFile]
      const { code, stdout, stderr } = await command('start', '--json', ...sources, ...more)
      if (code !== 0) throw new Error(stderr)
      return JSON.parse(stdout) as StackInfo
    },
    async remove() {
      await stopStack(layoutOf(folder))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * The database takes the port after the URL's. Below the range that outgoing connections take their ports from,
 * so that none of them is in the way a moment later.
 */
async function freePairOfPorts(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return requireFreePort(port, 'test').then(
    () => true,
    () => false,
  )
}
