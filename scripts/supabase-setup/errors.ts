/** A problem that a person can solve: what happened, and what to do next. `message` and `hint` never hold a secret. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}
