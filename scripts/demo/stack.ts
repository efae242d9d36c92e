import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
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

/** A stack of its own on free ports, gone afterwards: the check meets no other data. */
export function ownStack(): Promise<DemoStack> {
  return startStack({ ephemeral: true })
}

/** Between two stacks: each takes the API's port and the next one for its database. */
const PORT_STEP = 10
const MOST_PORTS = 20

/**
 * The stack of `pnpm stack start`: reused when it runs, stopped at the end only when this call started it. Where another
 * program has the port (every `supabase start` has 54321), the next free one is taken.
 */
export async function sharedStack(port: number): Promise<DemoStack> {
  for (let candidate = port; candidate < port + PORT_STEP * MOST_PORTS; candidate += PORT_STEP) {
    const running = await isRunning(candidate)
    if (!running && !(await areFree(candidate))) continue
    if (candidate !== port)
      console.error(`Port ${port} is in use by another program; the local stack takes ${candidate}.`)
    return start(candidate, running)
  }
  throw new Error(`No free port for the local stack from ${port} on. Choose another with --stack-port N.`)
}

function stackCommand(port: number, ...args: string[]): Promise<{ stdout: string }> {
  return run(process.execPath, [cli, ...args, '--port', String(port)], { cwd: root })
}

async function isRunning(port: number): Promise<boolean> {
  return stackCommand(port, 'status', '--json').then(
    () => true,
    () => false,
  )
}

async function areFree(port: number): Promise<boolean> {
  const free = await Promise.all([port, port + 1].map(isFree))
  return free.every(Boolean)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

async function start(port: number, wasRunning: boolean): Promise<DemoStack> {
  const { stdout } = await stackCommand(port, 'start', '--json').catch(
    (error: { stderr?: string; message: string }) => {
      throw new Error(error.stderr?.trim() || error.message)
    },
  )
  return {
    ...(JSON.parse(stdout) as Omit<DemoStack, 'stop'>),
    stop: async () => {
      if (!wasRunning) await stackCommand(port, 'stop')
    },
  }
}
