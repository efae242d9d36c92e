import { existsSync, readFileSync } from 'node:fs'

/** The last lines of a log, for error messages. */
export function tail(file: string, lines = 12): string {
  if (!existsSync(file)) return ''
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
