import { stripVTControlCharacters } from 'node:util'
import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty'
import { CreditError } from '../core/errors.ts'
import { invalidInput } from '../core/money.ts'

/** 0: fine. 1: a finding, somebody has to look. 2: could not run. */
export type ExitCode = 0 | 1 | 2

/** Where a command's words go. */
export interface Output {
  /** For people: nothing with `--json`. */
  say(line: string): void
  /** Shows that something takes a while, to whoever watches. */
  during<Result>(what: string, work: () => Promise<Result>): Promise<Result>
  /** For programs: one JSON document with `--json`, nothing without. */
  answer(value: unknown): void
}

const common = {
  json: { type: 'boolean', description: 'Print one JSON document instead of text', default: false },
} as const satisfies ArgsDef

/** The connection, of every command that needs the database. */
export const databaseArgs = {
  'database-url': { type: 'string', description: 'Default: DATABASE_URL, from the environment, .env.local or .env' },
} as const satisfies ArgsDef

/** A command with the habits that all of them share: `--json`, exit codes, no unknown flags. */
export function command<const Args extends ArgsDef>(definition: {
  name: string
  description: string
  args: Args
  run(args: ParsedArgs<Args & typeof common>, output: Output): Promise<ExitCode>
}): CommandDef<Args & typeof common> {
  const args = { ...common, ...definition.args }
  return defineCommand({
    meta: { name: definition.name, description: definition.description },
    args,
    async run(context) {
      const parsed = context.args as ParsedArgs<Args & typeof common>
      refuseUnknown(parsed, args)
      process.exitCode = await definition.run(parsed, output(context.args.json === true))
    },
  }) as CommandDef<Args & typeof common>
}

/** A misspelt flag must not be passed over: `--aply` is not `--apply`. */
function refuseUnknown(parsed: Record<string, unknown>, known: ArgsDef): void {
  const names = new Set(Object.keys(known).flatMap((name) => [name, camelCase(name)]))
  for (const name of Object.keys(parsed)) {
    if (name !== '_' && !names.has(name)) throw invalidInput(`--${name}`, 'unknown option; see --help')
  }
  const [extra] = (parsed._ as string[]).slice(Object.values(known).filter((arg) => arg.type === 'positional').length)
  if (extra !== undefined) throw invalidInput(extra, 'unexpected argument; see --help')
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function output(json: boolean): Output {
  return {
    say: (line) => void (json || process.stdout.write(`${line}\n`)),
    during: (what, work) => (json || !process.stderr.isTTY ? work() : spinning(what, work)),
    answer: (value) => void (json && process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)),
  }
}

async function spinning<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const { spinner } = await import('@clack/prompts')
  // On stderr: standard output belongs to the results.
  const wheel = spinner({ output: process.stderr })
  wheel.start(what)
  try {
    return await work()
  } finally {
    wheel.clear()
  }
}

/** Tells what went wrong on stderr, with its code, and what to do about it. */
export function report(error: unknown, json: boolean): void {
  const known = CreditError.isInstance(error)
  // citty's own complaints: a missing argument, an unknown command.
  const misused = error instanceof Error && error.name === 'CLIError'
  const code = known ? error.code : misused ? 'INVALID_INPUT' : 'INTERNAL'
  const message = stripVTControlCharacters(error instanceof Error ? error.message : String(error))
  const cause = known && error.cause instanceof Error ? error.cause.message : undefined
  const text = json
    ? JSON.stringify({ error: { code, message, ...(cause !== undefined && { cause }) } })
    : `${code}: ${message}${cause === undefined || message.includes(cause) ? '' : `\n  ${cause}`}`
  process.stderr.write(`${text}\n`)
}
