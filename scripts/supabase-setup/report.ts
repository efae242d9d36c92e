import { styleText } from 'node:util'

/** What the setup says while it works: one line a step. */
export interface Report {
  /** Something was changed. */
  done(text: string): void
  /** Something was as it should be already. */
  same(text: string): void
  /** What a dry run would change. */
  would(text: string): void
  /** Worth knowing, and what to do about it. */
  note(text: string): void
  /** How many times `done` or `would` was said. */
  readonly changes: number
}

/** Reports on `write`, by default to the terminal. */
export function createReport(write: (line: string) => void = console.log): Report {
  let changes = 0
  const line = (mark: string, text: string) => write(`${mark}  ${text}`)
  return {
    done: (text) => {
      changes++
      line(styleText('green', 'done'), text)
    },
    same: (text) => line(styleText('dim', 'same'), text),
    would: (text) => {
      changes++
      line(styleText('cyan', 'plan'), text)
    },
    note: (text) => line(styleText('yellow', 'note'), text),
    get changes() {
      return changes
    },
  }
}

/** `1 migration`, `3 migrations`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
