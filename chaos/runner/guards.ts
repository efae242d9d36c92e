import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'

const MIGRATIONS = path.join(import.meta.dirname, '../../supabase/migrations/*.sql')

/** A condition or statement of the migrations whose absence is a known fault. */
export interface Guard {
  name: string
  /** What has the guard: a function, or a table whose triggers are the guard. */
  owner: string
  /** Statements for the superuser that remove the guard and nothing else. */
  removal: string
}

const FUNCTION = /^create or replace function ([\w.]+)[\s\S]*?^\$\$;\n/gm
const MARKER_LINE = /^.*-- guard: ([\w-]+)\n/gm
const MARKER_BLOCK = /^ *-- guard ([\w-]+) \{\n([\s\S]*?)^ *-- \} \1\n/gm
const TRIGGER = /create or replace trigger (\w+)\s[\s\S]*?\son ([\w.]+)/g

/**
 * Every guard that is marked in the migrations. One line is marked by `-- guard: name` at its end, several lines by
 * `-- guard name {` before and `-- } name` after them. A function that a later migration replaces counts as it is last.
 *
 * @example
 * readGuards().map(({ name, owner }) => `${name} of ${owner}`) // "lock-account of credits_private.lock_account", ...
 */
export function readGuards(): Guard[] {
  const functions = new Map<string, string>()
  const triggers: Guard[] = []
  for (const file of globSync(MIGRATIONS).toSorted()) {
    const text = readFileSync(file, 'utf8')
    for (const [definition, name = ''] of text.matchAll(FUNCTION)) functions.set(name, definition)
    triggers.push(...guardsOfTriggers(text.replaceAll(FUNCTION, '')))
  }
  return [...[...functions].flatMap(([name, definition]) => guardsOfFunction(name, definition)), ...triggers]
}

/**
 * The guards with this name: the same one may stand in several places.
 *
 * @throws RangeError when no migration marks it
 */
export function findGuards(name: string): Guard[] {
  const found = readGuards().filter((guard) => guard.name === name)
  if (found.length === 0) throw new RangeError(`no migration marks a guard "${name}"`)
  return found
}

function guardsOfFunction(owner: string, definition: string): Guard[] {
  return [MARKER_LINE, MARKER_BLOCK].flatMap((marker) =>
    [...definition.matchAll(marker)].map((match) => ({
      name: match[1] ?? '',
      owner,
      removal: definition.slice(0, match.index) + definition.slice(match.index + match[0].length),
    })),
  )
}

function guardsOfTriggers(text: string): Guard[] {
  return [...text.matchAll(MARKER_BLOCK)].map(([, name = '', block = '']) => {
    const triggers = [...block.matchAll(TRIGGER)]
    const removal = triggers.map(([, trigger, table]) => `drop trigger ${trigger} on ${table};`).join('\n')
    return { name, owner: triggers[0]?.[2] ?? '', removal }
  })
}
