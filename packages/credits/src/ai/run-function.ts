import type { Soon } from '../core/soon.ts'
import { remember } from './receipt.ts'
import type { Run } from './run.ts'
import { inside } from './scope.ts'
import { traced } from './spans.ts'

/** What {@link conclude} goes through. */
export interface Course {
  /** Holds for the first provider call; left out where that is done later, or by an enclosing call. */
  reserve?: (() => Soon<unknown>) | undefined
  invoke: () => unknown
}

/**
 * Runs one call, from the reservation to its end. A function that answers with a promise is over with it, but for
 * provider calls that outlive a rejection; a stream is over when its run says so, and one that nobody reads, when it
 * has been idle.
 */
export async function conclude(run: Run, { reserve, invoke }: Course): Promise<unknown> {
  const { operation } = run
  const { owns, streams } = run.plan
  if (reserve !== undefined) {
    await reserve()
    traced(operation)
  }
  if (owns && streams) operation.watch()
  try {
    const result = await inside(operation, invoke)
    remember(result, operation)
    if (owns && streams) operation.rest()
    else if (owns) await operation.end()
    return result
  } catch (error) {
    if (owns) await operation.end()
    throw error
  }
}
