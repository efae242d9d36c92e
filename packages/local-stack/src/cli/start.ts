import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { defineCommand } from 'citty'
import { messageOf, StackError, type StackErrorCode } from '../errors.ts'
import { createLayout, type Layout } from '../layout.ts'
import { refuseProduction, resolveOptions } from '../options.ts'
import { runAs } from '../process/unprivileged.ts'
import { readRunning, type StackInfo } from '../state.ts'
import { guarded, layoutFor, portOf, print, WHICH } from './shared.ts'
import { stopStack } from './stop.ts'
import { summary } from './summary.ts'

/** A first start on a slow machine takes some ten seconds; a minute and a half means that something is wrong. */
const START_TIMEOUT_MS = 90_000

const ARGS = {
  ...WHICH,
  fresh: { type: 'boolean', description: 'Throw the local data away first' },
  json: { type: 'boolean', description: 'Print how to reach the stack as JSON, and nothing else' },
  detach: { type: 'boolean', description: 'Run in the background (the default)', default: true },
  foreground: { type: 'boolean', description: 'Stay in this terminal until Ctrl+C' },
  migrations: { type: 'string', description: 'Folder of the migrations (default supabase/migrations)' },
  seed: { type: 'string', description: 'The seed file (default supabase/seed.sql)' },
} as const

interface StartArgs {
  port: string
  'data-dir'?: string | undefined
  fresh?: boolean | undefined
  json?: boolean | undefined
  detach: boolean
  foreground?: boolean | undefined
  migrations?: string | undefined
  seed?: string | undefined
}

/** `stack start` */
export const start = defineCommand({
  meta: { name: 'start', description: 'Start the stack, apply migrations and seed, print how to reach it' },
  args: ARGS,
  run: ({ args }) => guarded(() => run(args)),
})

async function run(args: StartArgs): Promise<void> {
  refuseProduction()
  resolveOptions({ port: portOf(args) })
  const layout = createLayout(layoutFor(args).root, runAs())
  if (args.fresh) await stopStack(layout)
  const running = readRunning(layout)
  if (running) return show(running.info, args)
  if (args.foreground || !args.detach) return stayInForeground(layout, args)
  show(await startInBackground(layout, args), args)
}

function show(info: StackInfo, args: StartArgs): void {
  print(args.json ? JSON.stringify(info, null, 2) : summary(info))
}

type Report = { info: StackInfo } | { error: { code?: StackErrorCode; message: string; hint?: string | undefined } }

async function stayInForeground(layout: Layout, args: StartArgs): Promise<void> {
  // The starter may leave or be killed once the stack runs.
  process.on('disconnect', () => undefined)
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
  try {
    // Only the process that becomes the stack pays for loading it.
    const { startStack } = await import('../stack.ts')
    const stack = await startStack({
      port: portOf(args),
      dataDir: layout.root,
      ...(args.fresh ? { fresh: true } : {}),
      ...(args.migrations === undefined ? {} : { migrationsDir: args.migrations }),
      ...(args.seed === undefined ? {} : { seedFile: args.seed }),
    })
    const info = requireInfo(layout)
    if (process.send) process.send({ info } satisfies Report)
    else show(info, args)
    await stopped
    await stack.stop()
    process.exit(0)
  } catch (error) {
    if (!process.send) throw error
    const known = error instanceof StackError ? { code: error.code, hint: error.hint } : {}
    process.send({ error: { ...known, message: messageOf(error) } } satisfies Report, () => process.exit(1))
  }
}

function requireInfo(layout: Layout): StackInfo {
  const running = readRunning(layout)
  if (!running) throw new Error(`the state of the stack in ${layout.root} could not be read back`)
  return running.info
}

async function startInBackground(layout: Layout, args: StartArgs): Promise<StackInfo> {
  const options = ['start', '--foreground', '--port', args.port, '--data-dir', layout.root]
  if (args.fresh) options.push('--fresh')
  if (args.migrations !== undefined) options.push('--migrations', args.migrations)
  if (args.seed !== undefined) options.push('--seed', args.seed)
  const log = openSync(layout.serverLog, 'a')
  const script = fileURLToPath(new URL('../cli.ts', import.meta.url))
  const child = spawn(process.execPath, [script, ...options], { detached: true, stdio: ['ignore', log, log, 'ipc'] })
  closeSync(log)
  const report = await firstReport(child, layout)
  if (child.connected) child.disconnect()
  child.unref()
  if ('info' in report) return report.info
  const { code, message, hint } = report.error
  if (code === 'ALREADY_RUNNING') return waitForOther(layout)
  if (code) throw new StackError(code, message, hint === undefined ? {} : { hint })
  throw new Error(message)
}

function firstReport(child: ChildProcess, layout: Layout): Promise<Report> {
  return new Promise((resolve, reject) => {
    const hint = `See ${layout.serverLog} and ${layout.postgresLog}.`
    const timer = setTimeout(() => {
      child.kill('SIGTERM')
      reject(new StackError('START_TIMEOUT', `The stack did not start within ${START_TIMEOUT_MS / 1000} s.`, { hint }))
    }, START_TIMEOUT_MS)
    const settle = (done: () => void) => {
      clearTimeout(timer)
      done()
    }
    child.once('message', (report) => settle(() => resolve(report as Report)))
    child.once('error', (error) => settle(() => reject(error)))
    child.once('exit', (code, signal) => {
      const message = `The stack ended while it started (${signal ?? `exit code ${code}`}).`
      settle(() => reject(new StackError('START_TIMEOUT', message, { hint })))
    })
  })
}

/** Another process starts the same stack at this moment: theirs is as good. */
async function waitForOther(layout: Layout): Promise<StackInfo> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    const running = readRunning(layout)
    if (running) return running.info
    if (Date.now() > deadline) {
      throw new StackError('START_TIMEOUT', `Another start of the stack in ${layout.root} does not come to an end.`, {
        hint: 'Run: pnpm stack stop',
      })
    }
    await sleep(100)
  }
}
