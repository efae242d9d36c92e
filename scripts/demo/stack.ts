import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startStack } from '@layers/local-stack'
import { root } from '../lib/paths.ts'

/** What the demo needs to know of a stack. */
export interface DemoStack {
  url: string
  publishableKey: string
  secretKey: string
  dbUrl: string
  gatewayUrl: string
  gatewayApiKey: string
  stop(): Promise<void>
}

const cli = join(root, 'packages/local-stack/src/cli.ts')
const run = promisify(execFile)

/** A stack of its own on free ports, gone afterwards: the check meets nobody's data. */
export function ownStack(): Promise<DemoStack> {
  return startStack({ ephemeral: true })
}

/** The stack of `pnpm stack start`: reused when it runs, stopped at the end only when this call started it. */
export async function sharedStack(port: number): Promise<DemoStack> {
  const stack = (...args: string[]) => run(process.execPath, [cli, ...args, '--port', String(port)], { cwd: root })
  const wasRunning = await stack('status', '--json').then(
    () => true,
    () => false,
  )
  const { stdout } = await stack('start', '--json').catch((error: { stderr?: string; message: string }) => {
    throw new Error(error.stderr?.trim() || error.message)
  })
  return {
    ...(JSON.parse(stdout) as Omit<DemoStack, 'stop'>),
    stop: async () => {
      if (!wasRunning) await stack('stop')
    },
  }
}
