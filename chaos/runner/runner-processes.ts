import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './run.ts'
import type { LaneOrder } from './runner-task.ts'
import type { Attack } from './scenario.ts'

const LANE = fileURLToPath(new URL('./runner-process.ts', import.meta.url))

/** A process with a stack of its own: what an attack does to its server or its thread cannot disturb the other lane. */
interface Lane {
  run(attack: Attack): Promise<Outcome[]>
  close(): Promise<void>
}

/**
 * Runs attacks in several lanes at once: long ones first, and those that judge times last, with nothing beside them.
 *
 * @param onOutcome called as soon as there is one
 */
export async function runInLanes(
  attacks: readonly Attack[],
  { lanes: count, order, onOutcome }: { lanes: number; order: LaneOrder; onOutcome: (outcome: Outcome) => void },
): Promise<void> {
  const queue = attacks.filter(({ alone }) => !alone).toSorted((a, b) => Number(b.long ?? 0) - Number(a.long ?? 0))
  const alone = attacks.filter((attack) => attack.alone)
  const lanes = Array.from({ length: Math.max(1, Math.min(count, queue.length)) }, () => openLane(order))
  const work = async (lane: Lane, waiting: Attack[]): Promise<void> => {
    for (let attack = waiting.shift(); attack; attack = waiting.shift()) {
      for (const outcome of await lane.run(attack)) onOutcome(outcome)
    }
  }
  try {
    await Promise.all(lanes.map((lane) => work(lane, queue)))
    await Promise.all(lanes.splice(1).map((lane) => lane.close()))
    for (const lane of lanes) await work(lane, alone)
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()))
  }
}

function openLane(order: LaneOrder): Lane {
  let child: ChildProcess | undefined
  const open = (): ChildProcess => fork(LANE, [JSON.stringify(order)])
  return {
    run: ({ id, claim }) =>
      new Promise((resolve) => {
        child ??= open()
        const running = child
        const lost = (code: number | null, signal: string | null): void => {
          child = undefined
          const violations = [{ what: `the lane ended (${signal ?? code}) in the middle of the attack` }]
          resolve([{ id, claim, violations, runs: 0, faults: {}, notes: [], milliseconds: 0 }])
        }
        running.once('exit', lost)
        running.once('message', (outcomes) => {
          running.off('exit', lost)
          resolve(outcomes as Outcome[])
        })
        running.send(id)
      }),
    close: async () => {
      const ending = child
      child = undefined
      if (!ending) return
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      if (ending.connected) ending.disconnect()
      await ended
    },
  }
}
