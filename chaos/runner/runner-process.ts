/** A process with a stack of its own, in which scenarios run one after the other; see runner-processes.ts. */
import { startStack } from '@layers/local-stack'
import { findScenario } from '../catalogue.ts'
import { prove } from './prove.ts'
import { textOf } from './report.ts'
import { type Outcome, runScenario } from './run.ts'
import type { RunnerTask } from './runner-task.ts'

const task = JSON.parse(process.argv[2] ?? '{}') as RunnerTask
const stack = await startStack({ ephemeral: true })

process.on('message', async (id: string) => {
  const scenario = findScenario(id)
  if (!scenario) throw new RangeError(`there is no scenario ${id}`)
  const { seed, tier } = task
  const outcomes = task.prove
    ? await prove(scenario, { stack, seed })
    : [await runScenario(scenario, { stack, seed, tier })]
  process.send?.(outcomes.map(plain))
})
process.on('disconnect', async () => {
  await stack.stop()
  process.exit()
})

/** The details of a violation may be anything, such as errors of a driver and BigInts. */
function plain(outcome: Outcome): Outcome {
  const violations = outcome.violations.map(({ what, detail }) =>
    detail === undefined ? { what } : { what, detail: JSON.parse(textOf(detail)) as unknown },
  )
  return { ...outcome, violations }
}
