import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Scenario, ScenarioContext } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { attempt, chargeOf } from '../workload/operations.ts'
import { FAILPOINTS, type WorkerTask } from '../workload/worker-task.ts'
import { expireReservations } from './races/race.ts'

const WORKER = fileURLToPath(new URL('../workload/worker.ts', import.meta.url))
const AT_ONCE = 3

interface Call {
  callId: string
  userId: string
  fault: string
}

/** B4: the process that makes a call is killed at every point of it. */
export const B4: Scenario = {
  id: 'B4',
  claim:
    'A process that is killed at any point of a call leaves one reservation per provider call: settled, or ' +
    'expired and listed under its call.',
  faults: [...FAILPOINTS.filter((point) => point !== 'never'), 'random time', 'late settle'],
  run: async (context) => {
    const database = await context.openDatabase()
    // Several, because unsettled reservations count towards the limit until they expire.
    const users = await database.users(10, '1000')
    const runs: { call: Call; task: WorkerTask }[] = []
    const add = (fault: string, more: Pick<WorkerTask, 'failpoint' | 'killAfterMs'>): void => {
      const userId = users[runs.length % users.length] ?? ''
      const call = { callId: `chaos-${context.random.uuid()}`, userId, fault }
      const { gatewayUrl, gatewayApiKey } = context.stack
      runs.push({ call, task: { dbUrl: database.clone.dbUrl, gatewayUrl, gatewayApiKey, ...call, ...more } })
    }
    for (let round = 0; round < context.goal('mid-stream', 1); round += 1) {
      for (const failpoint of FAILPOINTS) add(failpoint, { failpoint })
    }
    for (let round = 0; round < context.goal('mid-stream', 1); round += 1) {
      add('random time', { failpoint: 'never', killAfterMs: context.random.between(900, 1500) })
    }
    const cache = mkdtempSync(path.join(tmpdir(), 'chaos-modules-'))
    context.cleanup(() => rmSync(cache, { recursive: true, force: true }))
    const queue = [...runs]
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = queue.pop(); next; next = queue.pop()) {
          const killed = await runWorker(next.task, cache)
          if (killed) context.countFault(next.call.fault)
          context.check(
            killed || ['never', 'random time'].includes(next.call.fault),
            `the worker was not killed at ${next.call.fault}`,
          )
          context.countRuns()
        }
      }),
    )
    await checkCalls(
      context,
      database,
      runs.map(({ call }) => call),
    )
  },
}

function runWorker(task: WorkerTask, cache: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--no-warnings', WORKER, JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // Otherwise a worker spends two thirds of its time on compiling the same modules.
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    })
    child.on('error', reject)
    child.on('exit', (_code, signal) => resolve(signal === 'SIGKILL'))
  })
}

interface Reservation {
  id: string
  state: string
  captured: string
}

/** I5: what the provider did and what the ledger says, call by call. */
async function checkCalls(context: ScenarioContext, database: TestDatabase, calls: readonly Call[]): Promise<void> {
  const answer = await fetch(`${context.stack.gatewayUrl}/_dev/journal`)
  const { entries } = (await answer.json()) as { entries: { user: string | null }[] }
  const store = database.store(2)
  for (const userId of new Set(calls.map((call) => call.userId))) {
    await expireReservations(database, userId)
    await store.getBalance({ userId })
  }
  for (const { callId, userId, fault } of calls) {
    const served = entries.filter(({ user }) => user === callId).length
    const { rows } = await database.admin.query<Reservation>(
      'select id, state, captured::text from public.credit_reservations where feature = $1',
      [callId],
    )
    const [reservation, ...more] = rows
    const when = `I5 ${fault}`
    context.check(more.length === 0, `${when}: several reservations for one call`, rows)
    context.check(served <= 1, `${when}: the provider was called ${served} times`)
    context.check(served === 0 || reservation !== undefined, `${when}: a provider call without a reservation`)
    context.check(reservation?.state !== 'active', `${when}: active past its time`, reservation)
    if (reservation === undefined) continue
    const charged = Number(reservation.captured) > 0
    context.check(served === 1 || !charged, `${when}: a charge without a provider call`, reservation)
    context.check(
      reservation.state !== 'settled' || charged || served === 0,
      `${when}: settled without a charge`,
      reservation,
    )
    if (reservation.state !== 'expired' || served === 0) continue
    await settleLate(context, store, { userId, reservationId: reservation.id })
  }
}

/** A usage report that comes later settles an expired reservation exactly once. */
async function settleLate(
  context: ScenarioContext,
  store: ReturnType<TestDatabase['store']>,
  reservation: { userId: string; reservationId: string },
): Promise<void> {
  const input = { ...reservation, charge: chargeOf('0.01') }
  const first = await attempt(() => store.settle(input))
  const second = await attempt(() => store.settle(input))
  const once = first.ok && second.ok && !first.value.replayed && second.value.replayed && first.value.late
  context.check(once, 'a late usage report is not settled exactly once', { first, second })
  if (once) context.countFault('late settle')
}
