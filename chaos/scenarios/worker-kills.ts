import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Arena, Attack } from '../runner/scenario.ts'
import type { Field } from '../runner/test-database.ts'
import { ask, chargeOf } from '../workload/operations.ts'
import { FAILPOINTS, type WorkerOrder } from '../workload/worker-task.ts'
import { letExpire } from './races/index.ts'

const WORKER = fileURLToPath(new URL('../workload/worker.ts', import.meta.url))
const AT_ONCE = 3

interface Call {
  callId: string
  userId: string
  fault: string
}

/** B4: the process that makes the calls dies at every point of a call. */
export const B4: Attack = {
  id: 'B4',
  claim:
    'A worker killed anywhere in a call leaves one reservation per provider call: settled, or expired and found by its call',
  faults: [...FAILPOINTS.filter((point) => point !== 'never'), 'random time', 'late settle'],
  run: async (arena) => {
    const field = await arena.open()
    // Several, because orphans count towards the limit of open reservations until they expire.
    const users = await field.users(10, '1000')
    const orders: { call: Call; order: WorkerOrder }[] = []
    const add = (fault: string, more: Pick<WorkerOrder, 'failpoint' | 'dieAfterMs'>): void => {
      const userId = users[orders.length % users.length] ?? ''
      const call = { callId: `chaos-${arena.random.uuid()}`, userId, fault }
      const { gatewayUrl, gatewayApiKey } = arena.stack
      orders.push({ call, order: { dbUrl: field.database.dbUrl, gatewayUrl, gatewayApiKey, ...call, ...more } })
    }
    for (let round = 0; round < arena.goal('mid-stream', 1); round += 1) {
      for (const failpoint of FAILPOINTS) add(failpoint, { failpoint })
    }
    for (let round = 0; round < arena.goal('mid-stream', 1); round += 1) {
      add('random time', { failpoint: 'never', dieAfterMs: arena.random.between(900, 1500) })
    }
    const cache = mkdtempSync(path.join(tmpdir(), 'chaos-modules-'))
    arena.cleanup(() => rmSync(cache, { recursive: true, force: true }))
    const queue = [...orders]
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = queue.pop(); next; next = queue.pop()) {
          const killed = await run(next.order, cache)
          if (killed) arena.reached(next.call.fault)
          arena.check(
            killed || ['never', 'random time'].includes(next.call.fault),
            `the worker outlived ${next.call.fault}`,
          )
          arena.ran()
        }
      }),
    )
    await judge(
      arena,
      field,
      orders.map(({ call }) => call),
    )
  },
}

function run(order: WorkerOrder, cache: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--no-warnings', WORKER, JSON.stringify(order)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // Two thirds of a worker's life would be the reading of the same modules.
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

/** I5: what the provider did and what the books say, call by call. */
async function judge(arena: Arena, field: Field, calls: readonly Call[]): Promise<void> {
  const answer = await fetch(`${arena.stack.gatewayUrl}/_dev/journal`)
  const { entries } = (await answer.json()) as { entries: { user: string | null }[] }
  const store = field.store(2)
  for (const userId of new Set(calls.map((call) => call.userId))) {
    await letExpire(field, userId)
    await store.getBalance({ userId })
  }
  for (const { callId, fault } of calls) {
    const served = entries.filter(({ user }) => user === callId).length
    const { rows } = await field.admin.query<Reservation>(
      'select id, state, captured::text from public.credit_reservations where feature = $1',
      [callId],
    )
    const [held, ...more] = rows
    const what = `I5 ${fault}`
    arena.check(more.length === 0, `${what}: several reservations for one call`, rows)
    arena.check(served <= 1, `${what}: the provider was called ${served} times`)
    arena.check(served === 0 || held !== undefined, `${what}: a provider call without a reservation`)
    arena.check(held?.state !== 'active', `${what}: active past its time`, held)
    if (held === undefined) continue
    const charged = Number(held.captured) > 0
    arena.check(served === 1 || !charged, `${what}: a charge without a provider call`, held)
    arena.check(held.state !== 'settled' || charged || served === 0, `${what}: settled for nothing`, held)
    if (held.state !== 'expired' || served === 0) continue
    await payLate(arena, store, held.id)
  }
}

/** A usage report that comes later settles an orphan exactly once. */
async function payLate(arena: Arena, store: ReturnType<Field['store']>, reservationId: string): Promise<void> {
  const charge = chargeOf('0.01')
  const first = await ask(() => store.settle({ reservationId, charge }))
  const second = await ask(() => store.settle({ reservationId, charge }))
  const once = first.ok && second.ok && !first.value.replayed && second.value.replayed && first.value.late
  arena.check(once, 'a late usage report is not settled exactly once', { first, second })
  if (once) arena.reached('late settle')
}
