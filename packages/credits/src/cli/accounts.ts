import type { ExitCode, Output } from './command.ts'

/** A reason that is asked for, and the person or system that acts. */
export const reasonArgs = {
  reason: { type: 'string', description: 'Why; stays in the audit log' },
  actor: { type: 'string', description: 'User who does it: UUID or e-mail address' },
} as const

/** Prints what the database answered about an account, and nothing that it did not. */
export function printAccount(output: Output, line: string, answer: object): ExitCode {
  output.say(line)
  output.answer(answer)
  return 0
}
