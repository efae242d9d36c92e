import { remember } from './receipt.ts'
import type { Run } from './run.ts'
import { inside } from './scope.ts'

/** A function that answers with a promise is over with it, but for provider calls that outlive a rejection. */
export async function answering(run: Run, invoke: () => unknown): Promise<unknown> {
  const { operation } = run
  try {
    const result = await inside(operation, invoke)
    remember(result, operation)
    return result
  } finally {
    if (run.plan.owns) await operation.end()
  }
}

/** A stream is over when its run says so; one that nobody reads, when it has been idle. */
export async function streaming(run: Run, invoke: () => unknown): Promise<unknown> {
  const { operation } = run
  const { owns } = run.plan
  if (owns) operation.watch()
  try {
    const result = await inside(operation, invoke)
    remember(result, operation)
    if (owns) operation.rest()
    return result
  } catch (error) {
    if (owns) await operation.end()
    throw error
  }
}
