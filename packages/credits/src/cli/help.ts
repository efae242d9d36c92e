import { stripVTControlCharacters } from 'node:util'
import { type CommandDef, renderUsage } from 'citty'
import { EXAMPLES } from './command.ts'

type Commands = Readonly<Record<string, CommandDef>>

/**
 * The help of a command with its full path and its examples.
 *
 * @param path names as typed, such as `['rates', 'sync']`; unknown ones are ignored
 */
export async function helpText(root: CommandDef, path: readonly string[]): Promise<string> {
  let current = root
  const names = ['credits']
  for (const name of path) {
    const inner = (current.subCommands as Commands | undefined)?.[name]
    if (inner === undefined) break
    current = inner
    names.push(name)
  }
  const parent = names.length > 1 ? { meta: { name: names.slice(0, -1).join(' ') } } : undefined
  const usage = await renderUsage(current, parent)
  const examples = (EXAMPLES.get(current) ?? []).map((example) => `  npx @layers/credits ${example}`)
  const text = examples.length === 0 ? usage : `${usage}\nEXAMPLES\n\n${examples.join('\n')}\n`
  return process.stdout.isTTY ? text : stripVTControlCharacters(text)
}
