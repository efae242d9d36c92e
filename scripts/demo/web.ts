import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@layers/local-stack'
import { root } from '../lib/paths.ts'
import type { DemoStack } from './stack.ts'

/** The running web app. */
export interface Web {
  url: string
  /** Resolves when the server is gone. */
  ended: Promise<void>
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
const READY_TIMEOUT_MS = 60_000

// The pipe to its standard input closes however this process ends, kill -9 included: the server ends with it.
const END_WITH_PARENT = "data:text/javascript,process.stdin.resume().on('end', () => process.exit())"

/** Starts the built web app against `stack`. A taken port is passed over for the next free one; 0 takes any. */
export async function startWeb({ stack, port }: { stack: DemoStack; port: number }): Promise<Web> {
  const free = port === 0 ? await freePort() : await nextFreePort(port)
  const output: string[] = []
  const next = join(root, 'apps/web/node_modules/next/dist/bin/next')
  const args = ['--import', END_WITH_PARENT, next, 'start', '--hostname', HOST, '--port', String(free)]
  const child = spawn(process.execPath, args, {
    cwd: join(root, 'apps/web'),
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environment(stack), NEXT_TELEMETRY_DISABLED: '1' },
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output.push(chunk.toString())
      if (output.length > 200) output.shift()
    })
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = `http://${HOST}:${free}`
  await untilReady(url, child, output)
  return { url, ended, stop: () => stop(child, ended) }
}

/** The variables of .env.example, for a stack. */
function environment(stack: DemoStack): Record<string, string> {
  return {
    NEXT_PUBLIC_SUPABASE_URL: stack.url,
    NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
    SUPABASE_SECRET_KEY: stack.secretKey,
    AI_GATEWAY_API_KEY: stack.gatewayApiKey,
    AI_GATEWAY_BASE_URL: stack.gatewayUrl,
  }
}

async function untilReady(url: string, child: ChildProcess, output: string[]): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (child.exitCode !== null) break
    const response = await fetch(`${url}/api/health`).catch(() => null)
    if (response?.ok) return
    await sleep(100)
  }
  child.kill()
  throw new Error(`The web app did not become ready at ${url}.\n${output.join('').trim()}`)
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(timer)
}

async function nextFreePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 100; port++) {
    const found = await tryPort(port)
    if (found !== null) {
      if (found !== wanted) console.error(`Port ${wanted} is in use; the web app takes ${found}.`)
      return found
    }
  }
  throw new Error(`No free port from ${wanted} to ${wanted + 99}. Choose another with --port N.`)
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, HOST, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : null))
    })
  })
}
