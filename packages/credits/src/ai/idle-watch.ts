const DEFAULT_IDLE_SECONDS = 60
/** Looks per idle time. What is found idle has been so for at least three quarters of it. */
const LOOKS = 4

/** Something that may fall idle. */
export interface Watched {
  /** Counts what happens. */
  readonly activity: number
  /** Something is under way, so a slow call does not count as idle. */
  readonly busy: boolean
  onIdle(): void
  /** Called now and then while it is not idle. */
  onLook(): void
}

/** Notices when nothing happens any more. Compares a counter now and then, so activity costs one increment. */
export class IdleWatch {
  readonly #watched: Watched
  readonly #everyMs: number
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(seconds: number | undefined, watched: Watched) {
    this.#watched = watched
    this.#everyMs = ((seconds ?? DEFAULT_IDLE_SECONDS) * 1000) / LOOKS
  }

  start(): void {
    if (this.#timer === undefined) this.#look(this.#watched.activity, 0)
  }

  stop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(seen: number, quiet: number): void {
    const watched = this.#watched
    this.#timer = setTimeout(() => {
      if (watched.activity !== seen || watched.busy) {
        this.#look(watched.activity, 0)
        watched.onLook()
      } else if (quiet + 1 < LOOKS) this.#look(seen, quiet + 1)
      else {
        this.#timer = undefined
        watched.onIdle()
      }
    }, this.#everyMs)
  }
}
