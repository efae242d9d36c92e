import { signUp } from '../../runner/test-database.ts'
import { attempt, chargeOf, countBy, retryUntilAnswered } from '../../workload/operations.ts'
import { exactly, expireReservations, missedSignup, type Race, reserve, valuesOf } from './race.ts'

/** Races for accounts that do not exist yet, or that have due work. */
export const ACCOUNT_RACES: readonly Race[] = [
  {
    name: 'first use of a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => {
          const input = { reservationId: parts.random.uuid(), userId, amount: '10', ttlSeconds: 300 }
          return retryUntilAnswered(() => parts.store.reserve(input))
        },
        findFault: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'reconcile a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => retryUntilAnswered(() => parts.pool.query('select public.credits_reconcile(true, 100)')),
        findFault: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '50' ? undefined : `${available} available, one grant of 50 expected`
        },
      }
    },
  },
  {
    name: 'sign up one person under many spellings',
    prepare: async ({ database, pool, random }) => {
      await database.admin.query('update public.credit_settings set signup_credits = 50')
      const name = random.uuid()
      return {
        call: (index) => {
          const email = `${name}+${index}@Example.com`
          return retryUntilAnswered(() => signUp(database.admin, random.uuid(), { email }))
        },
        findFault: async () => {
          // A signup does not wait for a locked table. Reconcile decides on those that it left undecided.
          await pool.query('select public.credits_reconcile(true, 500)')
          const { rows } = await database.admin.query(
            `select count(*)::int as grants from public.credit_transactions entry
             join auth.users owner on owner.id = entry.account_id
             where entry.source = 'signup' and owner.email like $1`,
            [`${name}%`],
          )
          return rows[0].grants === 1 ? undefined : `${rows[0].grants} signup grants for one person`
        },
      }
    },
  },
  {
    name: 'expire while others spend',
    prepare: async (parts) => {
      const userId = await parts.database.user('100')
      for (let count = 0; count < 5; count += 1) await reserve(parts, userId, '1')
      await expireReservations(parts.database, userId)
      return {
        call: (index) => {
          if (index % 3 === 0) {
            return retryUntilAnswered(() => parts.pool.query('select public.credits_expire_due(10)'))
          }
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return retryUntilAnswered(() => parts.store.reserve(input))
        },
        findFault: async (answers) => {
          const { reserved } = await parts.store.getBalance({ userId })
          const made = answers.filter((_, index) => index % 3 !== 0).length
          return reserved === String(made) ? undefined : `${reserved} reserved by ${made} reservations of 1`
        },
      }
    },
  },
  {
    // A settle has the reservation and waits for the account. Due work has the account and must not wait for the
    // reservation. The calls are made once and by few: repeating would hide a deadlock behind STORE_BUSY.
    name: 'settle late while others expire',
    prepare: async (parts) => {
      const userId = await parts.database.user('10')
      const late = await Promise.all(Array.from({ length: 4 }, () => reserve(parts, userId, '1')))
      await expireReservations(parts.database, userId)
      return {
        call: async (index) => {
          const reservation = late[index]
          if (reservation) return attempt(() => parts.store.settle({ ...reservation, charge: chargeOf('1') }))
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return index < 8 ? attempt(() => parts.store.reserve(input)) : { ok: true, value: undefined }
        },
        findFault: async (answers) => {
          const { available } = await parts.store.getBalance({ userId })
          const right = valuesOf(answers).length === answers.length && available === '2'
          return right ? undefined : `${available} available after ${JSON.stringify(countBy(answers))}`
        },
      }
    },
  },
  {
    name: 'expire what is due',
    prepare: async (parts) => {
      const userId = await parts.database.user('5')
      for (let count = 0; count < 5; count += 1) await reserve(parts, userId, '1')
      await expireReservations(parts.database, userId)
      return {
        call: (index) =>
          index % 2
            ? retryUntilAnswered(() => parts.pool.query('select public.credits_expire_due(10)'))
            : retryUntilAnswered(() => parts.store.getBalance({ userId })),
        findFault: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '5' ? undefined : `${available} available afterwards, 5 expected`
        },
      }
    },
  },
]
