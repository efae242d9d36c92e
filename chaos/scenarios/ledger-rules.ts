import fc from 'fast-check'
import { recomputeCharge } from '../../packages/credits/src/core/pricing/charge.ts'
import { createCredits } from '../../packages/credits/src/credits.ts'
import { altered } from '../runner/broken-copies.ts'
import type { Arena, Attack } from '../runner/scenario.ts'
import { sideBySide } from '../runner/side-by-side.ts'
import type { Field } from '../runner/test-database.ts'
import { amountOf, ask, chargeOf, insist, micros, tally } from '../workload/operations.ts'
import { holdsFor } from '../workload/properties.ts'
import type { Random } from '../workload/random.ts'
import { letExpire } from './races/index.ts'

const WIDTH = 8

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const credits = fc.bigInt({ min: 1n, max: 20_000_000n })

/** C1 to C4: what a settle charges, by formula. */
export const C1: Attack = {
  id: 'C1',
  claim:
    'Settling less, as much or more than was held, twice, after a release or after the expiry charges what the formula says',
  faults: ['settle', 'late settle'],
  broken: [
    altered(
      'a charge beyond the hold takes what others hold',
      'credits_private.charge',
      /(least\(v_amount, .*) - b\.reserved\)/,
      '$1)',
    ),
  ],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(WIDTH)
    const property = fc.asyncProperty(
      credits,
      credits,
      credits,
      fc.bigInt({ min: 0n, max: 50_000_000n }),
      fc.boolean(),
      async (spare, hold, other, cost, late) => {
        const userId = await field.user(amountOf(spare + hold + other))
        const [reservationId, beside] = [arena.random.uuid(), arena.random.uuid()]
        await store.reserve({ reservationId, userId, amount: amountOf(hold), ttlSeconds: 300 })
        if (late) await letExpire(field, userId)
        await store.reserve({ reservationId: beside, userId, amount: amountOf(other), ttlSeconds: 300 })
        const charged = least(cost, spare + hold)
        const settled = await store.settle({ reservationId, charge: chargeOf(amountOf(cost)) })
        const again = await store.settle({ reservationId, charge: chargeOf(amountOf(cost + 1n)) })
        const released = await store.release({ reservationId })
        arena.ran()
        arena.reached(late ? 'late settle' : 'settle')
        const balance = await store.getBalance({ userId })
        const ended = {
          charged: settled.transaction?.amount === amountOf(-charged),
          uncollected: settled.transaction?.uncollected === amountOf(cost - charged),
          late: settled.late === late,
          replayed:
            again.replayed && again.captured === settled.captured && released.replayed && released.state === 'settled',
          left: micros(balance.available) === spare + hold - charged && balance.reserved === amountOf(other),
        }
        await store.release({ reservationId: beside })
        const closed = await ask(() => store.settle({ reservationId: beside, charge: chargeOf(amountOf(cost)) }))
        const facts = {
          ...ended,
          closed: !closed.ok && closed.code === 'RESERVATION_CLOSED',
        }
        const wrong = Object.entries(facts).filter(([, right]) => !right)
        if (wrong.length > 0) throw new Error(`wrong: ${wrong.map(([name]) => name)}`)
      },
    )
    await holdsFor(arena, property, { times: arena.goal('settle'), width: WIDTH })
  },
}

/** C5 and C10: answers that must not tell, and a key that may try again. */
export const C5: Attack = {
  id: 'C5',
  claim:
    'Unknown ids get one answer from every operation; a refused key may succeed after a top-up; history outlives its user',
  faults: ['unknown id', 'top-up'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(2)
    const charge = chargeOf('1')
    for (let count = 0; count < arena.goal('top-up'); count += 1) {
      const reservationId = arena.random.uuid()
      const more = { reservationId, ttlSeconds: 300, amount: '1' }
      const answers = await Promise.all([
        ask(() => store.settle({ reservationId, charge })),
        ask(() => store.release({ reservationId })),
        ask(() => store.getReservation({ reservationId })),
        ask(() => store.extend({ ...more, extensionId: arena.random.uuid() })),
        ask(() => store.capture({ reservationId, captureId: arena.random.uuid(), charge })),
      ])
      arena.check(
        tally(answers).RESERVATION_NOT_FOUND === 5,
        'an unknown reservation is not simply not found',
        tally(answers),
      )
      const userId = await field.user('1')
      const input = { ...more, userId, amount: '5' }
      const refused = await ask(() => store.reserve(input))
      await store.grant({
        transactionId: arena.random.uuid(),
        userId,
        amount: '4',
        source: 'purchase',
        bucket: 'add-on',
      })
      const granted = await ask(() => store.reserve(input))
      arena.check(
        !refused.ok && granted.ok && !granted.value.replayed,
        'the same key does not succeed after a top-up',
        granted,
      )
      await field.admin.query('delete from auth.users where id = $1', [userId])
      const last = await ask(() => store.settle({ reservationId, charge }))
      arena.check(last.ok, 'a reservation of a deleted user cannot be settled', last)
      const next = await ask(() => store.reserve({ ...input, reservationId: arena.random.uuid() }))
      arena.check(!next.ok && next.code === 'ACCOUNT_NOT_FOUND', 'a deleted user can reserve', next)
      arena.ran(5)
      arena.reached('unknown id', 5)
      arena.reached('top-up')
    }
  },
}

/** C6: prices that change between reserve and settle. */
export const C6: Attack = {
  id: 'C6',
  claim:
    'A change of rate or margin between reserve and settle does not touch the price that was frozen; every charge recomputes',
  faults: ['price change'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(WIDTH)
    const pool = field.pool(WIDTH)
    const setRate = (model: string, input: number): Promise<unknown> => {
      const rate = {
        modelId: model,
        type: 'language',
        pricing: { input: (input / 1e6).toFixed(6), output: '0.000002' },
        known: true,
        source: 'chaos',
      }
      return pool.query('select public.credits_set_rates($1)', [JSON.stringify([rate])])
    }
    // Every case reads all prices in force, several times: those of other models say nothing here.
    await field.admin.query(
      `begin; set local session_replication_role = replica; delete from public.credit_rates; commit`,
    )
    const usage = { inputTokens: 1000, outputTokens: 10 }
    const change = async (random: Random, userId: string, model: string, input: number): Promise<void> => {
      const instance = createCredits({ store, pricingTtlSeconds: 0 })
      const before = await instance.price({ model, userId, usage })
      const { reservationId } = await instance.reserve({ userId, model, amount: '10' })
      await setRate(model, input)
      await store.setMargin({ scope: 'model', target: model, marginPercent: String(random.between(-50, 500)) })
      const settled = await createCredits({ store }).settle({ reservationId, usage })
      arena.ran()
      arena.reached('price change')
      arena.check(
        settled.transaction?.amount === `-${before.amount}`,
        `charged ${settled.transaction?.amount}, frozen was ${before.amount}`,
      )
    }
    const users = await field.users(WIDTH, '1000000')
    const each = Math.ceil(arena.goal('price change') / WIDTH)
    await sideBySide({ random: arena.random, times: WIDTH, width: WIDTH }, async (random, index) => {
      // A model of its own: a price that somebody else changes meanwhile is another story.
      const model = `chaos/model-${index}`
      await setRate(model, 1)
      for (let count = 1; count <= each; count += 1) await change(random, users[index] ?? '', model, 1 + count)
    })
    await recompute(arena, field)
  },
}

async function recompute(arena: Arena, field: Field): Promise<void> {
  const { rows } = await field.admin.query(
    'select amount + uncollected as amount, pricing, usage from public.credit_charges where pricing is not null',
  )
  arena.check(rows.length > 0, 'no charge has its prices')
  for (const { amount, pricing, usage } of rows) {
    const { credits: again } = recomputeCharge({ usage, pricing })
    arena.check(micros(again) === micros(amount), `recomputed ${again}, charged ${amount}`, { pricing, usage })
  }
}

const NONSENSE: readonly string[] = [
  ...['-101', '-100', '1e9', 'NaN', 'Infinity', '-Infinity', '10000.0001', '60.00001'],
  ...['60 %', '', 'ten', '1e400', 'null', '１', '--1', '1,5'],
]

/** A margin that is too low, too high, too fine or no number. */
function nonsense({ between, pick }: Random): string {
  const fraction = String(between(1, 9999)).padStart(4, '0')
  return pick([
    () => `-${between(100, 1_000_000_000)}`,
    () => `${between(10_000, 1_000_000_000)}.${fraction}`,
    () => `${between(-99, 9999)}.${fraction}${between(1, 9)}`,
    () => `${between(1, 9)}e${between(5, 300)}`,
    () => `${between(0, 99)}${pick(['%', 'x', ' 1', '..', '-'])}`,
    () => pick(NONSENSE),
  ])()
}

/** C7: margins that make no sense. */
export const C7: Attack = {
  id: 'C7',
  claim: 'Nonsense margins are refused by the function and by the table; every change leaves who, from what, to what',
  faults: ['nonsense'],
  broken: [
    {
      name: 'margins have no bounds',
      edits: [{ function: 'public.credits_set_margin', from: /if p_margin_percent <= -100[\s\S]*?end if;/, to: '' }],
    },
  ],
  run: async (arena) => {
    const field = await arena.open()
    const pool = field.pool(1)
    for (let count = 0; count < arena.goal('nonsense', NONSENSE.length); count += 1) {
      const margin = NONSENSE[count] ?? nonsense(arena.random)
      const call = await ask(() => pool.query(`select public.credits_set_margin('model', 'm', $1)`, [margin]))
      arena.check(
        !call.ok && /^PT422|^22/.test(call.code),
        `credits_set_margin takes ${margin}`,
        call.ok ? undefined : call.code,
      )
      const row = await ask(() =>
        field.admin.query(
          `insert into public.margin_config (scope, target, margin_percent, version) values ('model', $2, $1, 1)`,
          [margin, `${count}`],
        ),
      )
      // The column rounds to four places, which is not nonsense.
      const tooFine = /^-?\d{1,4}\.\d{5}$/.test(margin)
      arena.check(!row.ok || tooFine, `the table takes ${margin}`)
      arena.ran(2)
      arena.reached('nonsense')
    }
    const actor = arena.random.uuid()
    await pool.query(`select public.credits_set_margin('model', 'audited', 5, 0, null, $1, 'first')`, [actor])
    await pool.query(`select public.credits_set_margin('model', 'audited', 6, 1, null, $1, 'second')`, [actor])
    const { rows } = await field.admin.query(
      `select operation, old_margin_percent::text as old, new_margin_percent::text as new, actor_id, reason from public.margin_audit_log where target = 'audited' order by id`,
    )
    const expected = [
      { operation: 'insert', old: null, new: '5.0000', actor_id: actor, reason: 'first' },
      { operation: 'update', old: '5.0000', new: '6.0000', actor_id: actor, reason: 'second' },
    ]
    arena.check(JSON.stringify(rows) === JSON.stringify(expected), 'the audit does not tell what happened', rows)
  },
}

/** C8: refunds that race. */
export const C8: Attack = {
  id: 'C8',
  claim: 'Twenty racing refunds of one charge never give back more than it took',
  faults: ['refund race'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(20)
    for (let round = 0; round < arena.goal('refund race'); round += 1) {
      const userId = await field.user('10')
      const originalId = arena.random.uuid()
      await store.reserve({ reservationId: originalId, userId, amount: '10', ttlSeconds: 300 })
      await store.settle({ reservationId: originalId, charge: chargeOf('7') })
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => {
          const input = { transactionId: arena.random.uuid(), originalId, reason: 'race', amount: '2' }
          return insist(() => store.refund(input))
        }),
      )
      arena.ran(20)
      arena.reached('refund race')
      const counts = tally(answers)
      const { available } = await store.getBalance({ userId })
      arena.check(
        counts.ok === 3 && counts.REFUND_EXCEEDS_ORIGINAL === 17 && available === '9',
        `${available} available`,
        counts,
      )
    }
  },
}

/** C11: the ends of the number line. */
export const C11: Attack = {
  id: 'C11',
  claim: 'Amounts at and beyond every limit are taken exactly or refused whole',
  faults: ['limit'],
  run: async (arena) => {
    const field = await arena.open()
    const store = field.store(WIDTH)
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
    const times = arena.goal('limit', edges.length)
    const users = await field.users(times, '0')
    await sideBySide({ random: arena.random, times, width: WIDTH }, async (random, index) => {
      const userId = users[index] ?? ''
      // First the edges themselves, then what is near them.
      const edge = edges[index] ?? random.pick(edges) + BigInt(random.between(-1000, 1000))
      const amount = amountOf(edge)
      const grant = { userId, amount, source: 'purchase', bucket: 'add-on' } as const
      const answer = await ask(() => store.grant({ ...grant, transactionId: random.uuid() }))
      const fits = edge > 0n && edge <= max
      const { addOnCredits } = await store.getBalance({ userId })
      arena.check(
        answer.ok === fits && addOnCredits === (fits ? amount : '0'),
        `a grant of ${amount}: ${addOnCredits}`,
        answer.ok ? 'ok' : answer.code,
      )
      arena.ran()
      arena.reached('limit')
    })
    const userId = await field.user('0')
    let balance = 0n
    for (let count = 0; count < 12; count += 1) {
      const input = {
        transactionId: arena.random.uuid(),
        userId,
        amount: amountOf(max),
        source: 'purchase',
        bucket: 'add-on',
      } as const
      if ((await ask(() => store.grant(input))).ok) balance += max
    }
    const { addOnCredits } = await store.getBalance({ userId })
    arena.check(micros(addOnCredits) === balance && balance === max * 10n, `the sum overflows: ${addOnCredits}`)
  },
}
