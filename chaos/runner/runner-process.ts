/** A process of its own with a stack of its own, in which attacks run one after the other; see harness/lanes.ts. */
import { startStack } from '@layers/local-stack'
import { attackCalled } from '../catalogue.ts'
import { prove } from './prove.ts'
import { textOf } from './report.ts'
import { type Outcome, runAttack } from './run.ts'
import type { LaneOrder } from './runner-task.ts'

const order = JSON.parse(process.argv[2] ?? '{}') as LaneOrder
const stack = await startStack({ ephemeral: true })

process.on('message', async (id: string) => {
  const attack = attackCalled(id)
  if (!attack) throw new RangeError(`there is no attack ${id}`)
  const { seed, tier } = order
  const outcomes = order.prove ? await prove(attack, { stack, seed }) : [await runAttack(attack, { stack, seed, tier })]
  process.send?.(outcomes.map(plain))
})
process.on('disconnect', async () => {
  await stack.stop()
  process.exit()
})

/** What a violation carries may be anything: errors of a driver, BigInts. */
function plain(outcome: Outcome): Outcome {
  const violations = outcome.violations.map(({ what, detail }) =>
    detail === undefined ? { what } : { what, detail: JSON.parse(textOf(detail)) as unknown },
  )
  return { ...outcome, violations }
}
