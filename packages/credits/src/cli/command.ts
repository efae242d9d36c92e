import { stripVTControlCharacters } from 'node:util'
import { type ArgDef, type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty'
import { CreditError, invalidInput } from '../core/errors.ts'
import { flagOf } from './flags.ts'

/** 0: fine. 1: a finding that a person has to look at. 2: could not run. */
export type ExitCode = 0 | 1 | 2

/** Where the output of a command goes. */
export interface Output {
  /** For people: nothing with `--json`. */
  say(line: string): void
  /** Shows on a terminal that something takes a while. */
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

/** The account that a command is about. */
export const userArg = {
  user: { type: 'string', description: 'UUID or e-mail address', required: true },
} as const satisfies ArgsDef

/** Examples of a command by its path, for the help. */
export const EXAMPLES = new Map<CommandDef, readonly string[]>()

/**
 * A command with what all of them share: `--json`, exit codes, no unknown flags, errors that name flags.
 *
 * @param definition `examples` are shown by `--help`, without the leading `credits`
 */
export function command<const Args extends ArgsDef>(definition: {
  name: string
  description: string
  args: Args
  examples: readonly string[]
  run(args: ParsedArgs<Args & typeof common>, output: Output): Promise<ExitCode>
}): CommandDef<Args & typeof common> {
  const args = { ...common, ...definition.args }
  const defined = defineCommand({
    meta: { name: definition.name, description: definition.description },
    args: optional(args) as ArgsDef,
    async run(context) {
      const parsed = context.args as ParsedArgs<Args & typeof common>
      refuseUnknown(parsed, args)
      refuseMissing(parsed, args)
      try {
        process.exitCode = await definition.run(parsed, output(context.args.json === true))
      } catch (error) {
        throw namingFlags(error, args)
      }
    },
  })
  EXAMPLES.set(defined, definition.examples)
  return defined as unknown as CommandDef<Args & typeof common>
}

/** citty stops at the first missing argument. Here all of them are named, so it sees none as required. */
function optional(args: ArgsDef): ArgsDef {
  return Object.fromEntries(
    Object.entries(args).map(([name, arg]): [string, ArgDef] => {
      const { required, ...rest } = arg
      return [name, required ? { ...rest, required: false, description: `${arg.description} (required)` } : arg]
    }),
  )
}

function refuseMissing(parsed: Record<string, unknown>, args: ArgsDef): void {
  const missing = Object.entries(args)
    .filter(([name, { required }]) => required && (parsed[name] === undefined || parsed[name] === ''))
    .map(([name, { type }]) => (type === 'positional' ? `<${name}>` : `--${name}`))
  if (missing.length > 0) throw invalidInput(missing.join(', '), 'required; see --help')
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

/** An error about a value names the flag that the value was given with. */
function namingFlags(error: unknown, args: ArgsDef): unknown {
  if (!CreditError.isInstance(error) || error.code !== 'INVALID_INPUT') return error
  const [issue] = error.details.issues ?? []
  const flag = issue && flagOf(issue.path, Object.keys(args))
  return flag === undefined ? error : invalidInput(flag, issue?.message ?? error.message)
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

/** Writes what went wrong to stderr: its code, what to do, and the cause where it says more. */
export function report(error: unknown, json: boolean): void {
  const known = CreditError.isInstance(error)
  // citty's own complaints: an unknown command, a value that is not in the list of an option.
  const misused = error instanceof Error && error.name === 'CLIError'
  const code = known ? error.code : misused ? 'INVALID_INPUT' : 'INTERNAL'
  const message = stripVTControlCharacters(error instanceof Error ? error.message : String(error))
  const cause = known ? causeOf(error, message) : undefined
  const text = json
    ? JSON.stringify({ error: { code, message, ...(cause !== undefined && { cause }) } })
    : `${code}: ${message}${cause === undefined ? '' : `\n  ${cause}`}`
  process.stderr.write(`${text}\n`)
}

/** The words of the cause, unless the message has them already or the cause is only the code again. */
function causeOf({ code, cause }: CreditError, message: string): string | undefined {
  const text = cause instanceof Error ? cause.message : undefined
  return text === undefined || text === code || text === '' || message.includes(text) ? undefined : text
}
