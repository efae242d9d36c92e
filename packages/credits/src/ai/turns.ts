/** One after the other: two provider calls must not both take the same credits for theirs. */
export class Turns {
  #last: Promise<unknown> | undefined
  #line = 0

  /** Nobody is at work and nobody waits: what needs no promise may be done on the spot. */
  get free(): boolean {
    return this.#line === 0
  }

  /**
   * Runs the work when all earlier work is done, whether or not that succeeded; at once if there is none.
   * @param work must not take a turn itself
   */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last === undefined ? work() : this.#last.then(work)
    this.#line++
    const done = () => {
      if (--this.#line === 0) this.#last = undefined
    }
    this.#last = result.then(done, done)
    return result
  }
}
