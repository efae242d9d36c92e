import path from 'node:path'
import { messageOf, StackError } from '../errors.ts'
import { defaultRoot, type Layout, layoutOf } from '../layout.ts'
import { DEFAULT_PORT } from '../options.ts'
import { runAs } from '../process/unprivileged.ts'
import { readRunning, type StackInfo } from '../state.ts'

/** Options of every command: which stack is meant. */
export const WHICH = {
  port: {
    type: 'string',
    description: 'Port of the URL; the database takes the next one',
    default: String(DEFAULT_PORT),
  },
  'data-dir': { type: 'string', description: 'Folder of the data and logs (default .stack/<port>)' },
} as const

/** The files of the stack that is meant. */
export function layoutFor(args: { port: string; 'data-dir'?: string | undefined }): Layout {
  const folder = args['data-dir']
  return layoutOf(folder ? path.resolve(folder) : defaultRoot(portOf(args), runAs()))
}

/** The port as a number; what is not one is refused where the options are read. */
export function portOf(args: { port: string }): number {
  return args.port.trim() === '' ? Number.NaN : Number(args.port)
}

/**
 * The stack that is meant.
 *
 * @throws StackError `NOT_RUNNING`
 */
export function requireRunning(layout: Layout): StackInfo {
  const running = readRunning(layout)
  if (running) return running.info
  throw new StackError('NOT_RUNNING', `No stack runs in ${layout.root}.`, { hint: 'Start it with: pnpm stack start' })
}

/** Runs a command. A problem ends it with exit code 1 and one clear message on stderr. */
export async function guarded(work: () => Promise<void> | void): Promise<void> {
  try {
    await work()
  } catch (error) {
    const code = error instanceof StackError ? `${error.code}: ` : ''
    const hint = error instanceof StackError && error.hint ? `\n${error.hint}` : ''
    process.stderr.write(`${code}${messageOf(error)}${hint}\n`)
    process.exitCode = 1
  }
}

/** Prints a line for people or programs. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
