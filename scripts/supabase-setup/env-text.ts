import { parseEnv } from 'node:util'
import { SetupError } from './errors.ts'

/** Variables by name. */
export type Variables = Readonly<Record<string, string>>

/**
 * One assignment of a dotenv file: everything up to the value, the value, the rest of the line. A quoted value may
 * span lines, so that a line inside it which looks like an assignment is left alone.
 */
const HEAD = /(?<head>[ \t]*(?:export[ \t]+)?(?<name>[\w.-]+)[ \t]*=[ \t]*)/
const VALUE = /(?<value>'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^#\r\n]*?)/
const TAIL = /(?<tail>[ \t]*(?:#[^\r\n]*)?)/
const ASSIGNMENT = new RegExp(`^${HEAD.source}${VALUE.source}${TAIL.source}$`, 'gm')

/** Needs no quotes in any dotenv dialect, and no reader expands it (`$` would be a reference to a variable). */
const PLAIN = /^[\w.:/@%+?=&~,-]*$/

/** The variables of a dotenv text, as Node reads them. */
export function parseVariables(text: string): Variables {
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(parseEnv(text))) if (value !== undefined) variables[name] = value
  return variables
}

/**
 * Sets variables in a dotenv text. Comments, order, and lines that are not ours stay as they are; a name that
 * occurs twice is set twice, because readers disagree on which one counts. New names go to the end.
 *
 * @throws SetupError for a value that would need quotes.
 * @example
 * updateVariables('# keep\nA=1 # why\n', { A: '2', B: '3' }) // '# keep\nA=2 # why\nB=3\n'
 */
export function updateVariables(text: string, values: Variables): string {
  for (const [name, value] of Object.entries(values)) {
    if (!PLAIN.test(value)) throw new SetupError(`The value of ${name} has characters that a .env file cannot hold.`)
  }
  const missing = new Set(Object.keys(values))
  const updated = text.replace(ASSIGNMENT, (line: string, ...rest: unknown[]) => {
    const { head, name, tail } = rest.at(-1) as { head: string; name: string; tail: string }
    const value = values[name]
    if (value === undefined) return line
    missing.delete(name)
    return `${head}${value}${tail}`
  })
  if (missing.size === 0) return updated
  const end = updated === '' || updated.endsWith('\n') ? '' : '\n'
  return `${updated}${end}${[...missing].map((name) => `${name}=${values[name]}\n`).join('')}`
}

/** Names whose value differs between two sets of variables. */
export function changedNames(before: Variables, values: Variables): string[] {
  return Object.keys(values).filter((name) => before[name] !== values[name])
}
