/** One after the other: two provider calls must not both take the same credits for theirs. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs the work when all earlier work is done, whether or not that succeeded. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}
