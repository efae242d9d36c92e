const DEFAULT_SECONDS = 60
/** Looks per idle time: what is found idle has been so for at least three quarters of it. */
const LOOKS = 4

/**
 * Notices when nothing happens any more. Costs the hot path one increment: it compares a counter now and then
 * instead of setting a timer anew with every part. Holds no timer until it is started.
 */
export class Idle {
  /** Count what happens here. */
  activity = 0
  /** False while the provider is waited for: slow is not idle. */
  waiting = true
  readonly #everyMs: number
  readonly #onIdle: () => void
  readonly #onLook: (() => void) | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param onLook called now and then while it is not idle */
  constructor(seconds: number | undefined, onIdle: () => void, onLook?: () => void) {
    this.#everyMs = ((seconds ?? DEFAULT_SECONDS) * 1000) / LOOKS
    this.#onIdle = onIdle
    this.#onLook = onLook
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.activity++
    this.#look(this.activity, 0)
  }

  stop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(seen: number, quiet: number): void {
    this.#timer = setTimeout(() => {
      if (this.activity !== seen || !this.waiting) {
        this.#look(this.activity, 0)
        this.#onLook?.()
      } else if (quiet + 1 < LOOKS) this.#look(seen, quiet + 1)
      else {
        this.#timer = undefined
        this.#onIdle()
      }
    }, this.#everyMs)
  }
}
