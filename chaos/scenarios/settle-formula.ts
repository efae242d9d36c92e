import fc from 'fast-check'
import type { BrokenCopy } from '../runner/broken-copy.ts'
import type { Scenario } from '../runner/scenario.ts'
import type { TestDatabase } from '../runner/test-database.ts'
import { amountOf, attempt, chargeOf, millionths } from '../workload/operations.ts'
import { checkProperty } from '../workload/properties.ts'
import { expireReservations } from './races/race.ts'

const WIDTH = 8

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const credits = fc.bigInt({ min: 1n, max: 20_000_000n })

const TAKES_RESERVED: BrokenCopy = {
  name: 'a charge takes what other reservations keep back',
  sql: `alter function credits_private.charge rename to charge_available;
    create function credits_private.charge(
      account public.credit_balances, reservation public.credit_reservations, p_id uuid, p_charge jsonb,
      p_input credits_private.charge_input)
    returns credits_private.account_change language plpgsql set search_path = '' as $$
    declare
      reserved constant numeric := account.reserved;
      change credits_private.account_change;
    begin
      account.reserved := 0;
      change := credits_private.charge_available(account, reservation, p_id, p_charge, p_input);
      change.account.reserved := reserved;
      return change;
    end $$`,
}

/** C1 to C4: what a settle charges, by formula. */
export const C1: Scenario = {
  id: 'C1',
  claim:
    'A settle for less, as much or more than was reserved, repeated, with another amount, after a release or ' +
    'after the expiry, charges what the formula says.',
  faults: ['settle', 'late settle'],
  broken: [TAKES_RESERVED, { name: 'a second charge of another amount leaves no trace', guards: ['no-silent-loss'] }],
  run: async (context) => {
    const database = await context.openDatabase()
    const store = database.store(WIDTH)
    const property = fc.asyncProperty(
      credits,
      credits,
      credits,
      fc.bigInt({ min: 0n, max: 50_000_000n }),
      fc.boolean(),
      async (spare, reserved, other, cost, late) => {
        const userId = await database.user(amountOf(spare + reserved + other))
        const reservation = { userId, reservationId: context.random.uuid() }
        const otherReservation = { userId, reservationId: context.random.uuid() }
        await store.reserve({ ...reservation, amount: amountOf(reserved), ttlSeconds: 300 })
        if (late) await expireReservations(database, userId)
        await store.reserve({ ...otherReservation, amount: amountOf(other), ttlSeconds: 300 })
        const charge = chargeOf(amountOf(cost))
        const charged = least(cost, spare + reserved)
        const settled = await store.settle({ ...reservation, charge })
        const again = await store.settle({ ...reservation, charge })
        const more = await store.settle({ ...reservation, charge: chargeOf(amountOf(cost + 1n)) })
        const released = await store.release(reservation)
        context.countRuns()
        context.countFault(late ? 'late settle' : 'settle')
        const balance = await store.getBalance({ userId })
        await store.release(otherReservation)
        const closed = await attempt(() => store.settle({ ...otherReservation, charge }))
        const facts = {
          charged: settled.transaction?.amount === amountOf(-charged),
          uncollected: settled.transaction?.uncollected === amountOf(cost - charged),
          late: settled.late === late,
          replayed: again.replayed && again.captured === settled.captured,
          firstResult: more.replayed && more.captured === settled.captured,
          audited: (await countNotRecorded(database, reservation.reservationId)) === 1,
          released: released.replayed && released.state === 'settled',
          left: millionths(balance.available) === spare + reserved - charged && balance.reserved === amountOf(other),
          closed: !closed.ok && closed.code === 'RESERVATION_CLOSED',
        }
        const wrong = Object.entries(facts).filter(([, right]) => !right)
        if (wrong.length > 0) throw new Error(`wrong: ${wrong.map(([name]) => name)}`)
      },
    )
    await checkProperty(context, property, { times: context.goal('settle'), width: WIDTH })
  },
}

/** Rows of the audit log for a second charge of a reservation that differs from the first. */
async function countNotRecorded(database: TestDatabase, reservationId: string): Promise<number> {
  const { rows } = await database.admin.query<{ count: number }>(
    `select count(*)::int as count from public.credit_audit_log where action = 'charge_not_recorded' and subject = $1`,
    [reservationId],
  )
  return rows[0]?.count ?? 0
}
