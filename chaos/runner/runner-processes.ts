import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './run.ts'
import type { RunnerTask } from './runner-task.ts'
import type { Scenario } from './scenario.ts'

const MODULE = fileURLToPath(new URL('./runner-process.ts', import.meta.url))

/** A process with a stack of its own: what a scenario does to its server or thread cannot disturb the other process. */
interface RunnerProcess {
  run(scenario: Scenario): Promise<Outcome[]>
  close(): Promise<void>
}

/**
 * Runs scenarios in several processes at once: long ones first, and those that assert durations last, with nothing
 * else running.
 *
 * @param onOutcome called as soon as there is one
 */
export async function runInProcesses(
  scenarios: readonly Scenario[],
  { processes: count, task, onOutcome }: { processes: number; task: RunnerTask; onOutcome: (outcome: Outcome) => void },
): Promise<void> {
  const queue = scenarios.filter(({ alone }) => !alone).toSorted((a, b) => Number(b.long ?? 0) - Number(a.long ?? 0))
  const alone = scenarios.filter((scenario) => scenario.alone)
  const processes = Array.from({ length: Math.max(1, Math.min(count, queue.length)) }, () => createProcess(task))
  const work = async (runner: RunnerProcess, waiting: Scenario[]): Promise<void> => {
    for (let scenario = waiting.shift(); scenario; scenario = waiting.shift()) {
      for (const outcome of await runner.run(scenario)) onOutcome(outcome)
    }
  }
  try {
    await Promise.all(processes.map((runner) => work(runner, queue)))
    await Promise.all(processes.splice(1).map((runner) => runner.close()))
    for (const runner of processes) await work(runner, alone)
  } finally {
    await Promise.all(processes.map((runner) => runner.close()))
  }
}

function createProcess(task: RunnerTask): RunnerProcess {
  let child: ChildProcess | undefined
  return {
    run: ({ id, claim }) =>
      new Promise((resolve) => {
        child ??= fork(MODULE, [JSON.stringify(task)])
        const running = child
        const onExit = (code: number | null, signal: string | null): void => {
          child = undefined
          const violations = [{ what: `the process ended (${signal ?? code}) in the middle of the scenario` }]
          resolve([{ id, claim, violations, runs: 0, faults: {}, notes: [], milliseconds: 0 }])
        }
        running.once('exit', onExit)
        running.once('message', (outcomes) => {
          running.off('exit', onExit)
          resolve(outcomes as Outcome[])
        })
        running.send(id)
      }),
    close: async () => {
      const running = child
      child = undefined
      if (!running) return
      const ended = new Promise((resolve) => running.once('exit', resolve))
      if (running.connected) running.disconnect()
      await ended
    },
  }
}
