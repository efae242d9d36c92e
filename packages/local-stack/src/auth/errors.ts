/** A refusal in GoTrue's terms: HTTP status, machine code and sentence are what the real server answers. */
export class AuthError extends Error {
  readonly status: number
  readonly code: string
  /** Further members of the body, such as `weak_password`. */
  readonly extra: Record<string, unknown>

  constructor(status: number, code: string, message: string, extra: Record<string, unknown> = {}) {
    super(message)
    this.name = 'AuthError'
    this.status = status
    this.code = code
    this.extra = extra
  }

  /** The body: since API version 2024-01-01 `code` is the machine code; before, it was the HTTP status. */
  body(currentApi: boolean): Record<string, unknown> {
    return currentApi
      ? { code: this.code, message: this.message, ...this.extra }
      : { code: this.status, error_code: this.code, msg: this.message, ...this.extra }
  }
}

/** The first API version whose errors carry the machine code in `code`. */
export const CURRENT_API = '2024-01-01'
