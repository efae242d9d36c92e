import type { Scenario } from '../runner/scenario.ts'
import { amountOf, attempt, chargeOf, countBy, millionths, retryUntilAnswered } from '../workload/operations.ts'
import { runConcurrently } from '../workload/run-concurrently.ts'

const WIDTH = 8

/** C8: refunds that race. */
export const C8: Scenario = {
  id: 'C8',
  claim: 'Twenty racing refunds of one charge never return more than it took.',
  broken: [{ name: 'refunds have no bound', guards: ['refund-within-original'] }],
  faults: ['refund race'],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(20)
    for (let round = 0; round < context.goal('refund race'); round += 1) {
      const userId = await database.user('10')
      const originalId = context.random.uuid()
      await store.reserve({ reservationId: originalId, userId, amount: '10', ttlSeconds: 300 })
      await store.settle({ userId, reservationId: originalId, charge: chargeOf('7') })
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => {
          const input = { userId, transactionId: context.random.uuid(), originalId, reason: 'race', amount: '2' }
          return retryUntilAnswered(() => store.refund(input))
        }),
      )
      context.countRuns(20)
      context.countFault('refund race')
      const counts = countBy(answers)
      const { available } = await store.getBalance({ userId })
      context.check(
        counts.ok === 3 && counts.REFUND_EXCEEDS_ORIGINAL === 17 && available === '9',
        `${available} available`,
        counts,
      )
    }
  },
}

/** C11: the bounds of amounts. */
export const C11: Scenario = {
  id: 'C11',
  claim: 'An amount at or beyond a limit is granted exactly, or refused as a whole.',
  faults: ['limit'],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(WIDTH)
    const max = 1_000_000_000_000n * 1_000_000n
    const edges = [
      0n,
      1n,
      999_999n,
      1_000_000n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 53n + 1n,
      max - 1n,
      max,
      max + 1n,
      max * 10n,
      -1n,
    ]
    const times = context.goal('limit', edges.length)
    const users = await database.users(times, '0')
    await runConcurrently({ random: context.random, times, width: WIDTH }, async (random, index) => {
      const userId = users[index] ?? ''
      // First the edges themselves, then amounts near them.
      const edge = edges[index] ?? random.pick(edges) + BigInt(random.between(-1000, 1000))
      const amount = amountOf(edge)
      const grant = { userId, amount, source: 'purchase', bucket: 'add-on' } as const
      const answer = await attempt(() => store.grant({ ...grant, transactionId: random.uuid() }))
      const fits = edge > 0n && edge <= max
      const { addOnCredits } = await store.getBalance({ userId })
      context.check(
        answer.ok === fits && addOnCredits === (fits ? amount : '0'),
        `a grant of ${amount}: ${addOnCredits}`,
        answer.ok ? 'ok' : answer.code,
      )
      context.countRuns()
      context.countFault('limit')
    })
    const userId = await database.user('0')
    let balance = 0n
    for (let count = 0; count < 12; count += 1) {
      const input = {
        transactionId: context.random.uuid(),
        userId,
        amount: amountOf(max),
        source: 'purchase',
        bucket: 'add-on',
      } as const
      if ((await attempt(() => store.grant(input))).ok) balance += max
    }
    const { addOnCredits } = await store.getBalance({ userId })
    context.check(millionths(addOnCredits) === balance && balance === max * 10n, `the sum overflows: ${addOnCredits}`)
  },
}
