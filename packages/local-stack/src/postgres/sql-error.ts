import pg from 'pg'
import { messageOf } from '../errors.ts'
import { statementOffsets } from './statements.ts'

/**
 * Where and why a script failed, in the form that editors link: `:12: syntax error at or near "tabel" (42601)`.
 *
 * @param finished how many statements of the script had succeeded
 */
export function describeSqlError(error: unknown, script: string, finished: number): string {
  if (!(error instanceof pg.DatabaseError)) return `: ${messageOf(error)}`
  // Only syntax and name errors carry a position; for the others the statement that failed is the next one.
  const offset = error.position === undefined ? statementOffsets(script)[finished] : Number(error.position) - 1
  const line = offset === undefined ? '' : `:${script.slice(0, offset).split('\n').length}`
  const more = [
    error.detail && `detail: ${error.detail}`,
    error.hint && `hint: ${error.hint}`,
    error.where && `where: ${error.where}`,
  ].filter(Boolean)
  return [`${line}: ${error.message} (${error.code})`, ...more].join('\n  ')
}
